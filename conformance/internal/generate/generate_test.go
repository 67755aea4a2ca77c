package generate

import (
	"bytes"
	"testing"

	"github.com/tollgate-metering/tollgate/conformance/internal/reference"
)

const seed = 7

// TestSameSeedSameDocuments, and another seed gives others.
func TestSameSeedSameDocuments(t *testing.T) {
	for _, documentType := range reference.Types {
		one, same, other := New(documentType, seed), New(documentType, seed), New(documentType, seed+1)
		nDifferent := 0
		for range 2_000 {
			document := one.Next()
			if again := same.Next(); !bytes.Equal(document.Bytes, again.Bytes) || document.Points != again.Points {
				t.Fatalf("%s: %q and %q come from one seed", documentType, document.Bytes, again.Bytes)
			}
			if !bytes.Equal(document.Bytes, other.Next().Bytes) {
				nDifferent++
			}
		}
		if nDifferent < 1_000 {
			t.Errorf("%s: another seed gave only %d other documents", documentType, nDifferent)
		}
	}
}

func TestEachDocumentIsALine(t *testing.T) {
	for _, documentType := range reference.Types {
		generator := New(documentType, seed)
		for range 5_000 {
			if document := generator.Next(); bytes.ContainsRune(document.Bytes, '\n') {
				t.Fatalf("%s: %q holds a newline", documentType, document.Bytes)
			}
		}
	}
}

// TestAcceptedShare keeps the documents half right: a run of nothing but syntax
// errors, or of nothing but good documents, would test little.
func TestAcceptedShare(t *testing.T) {
	for _, documentType := range reference.Types {
		const n = 10_000
		nAccepted, nPlain := 0, 0
		generator := New(documentType, seed)
		for range n {
			document := generator.Next()
			if _, err := reference.Canonical(documentType, document.Bytes); err == nil {
				nAccepted++
				if document.Points.Len() == 0 {
					nPlain++
				}
			}
		}
		t.Logf("%s: %d of %d accepted, %d without any oddity", documentType, nAccepted, n, nPlain)
		if nAccepted < n*4/10 || n*7/10 < nAccepted {
			t.Errorf("%s: %d of %d accepted", documentType, nAccepted, n)
		}
		if n/10 < nPlain {
			t.Errorf("%s: %d of %d have no oddity", documentType, nPlain, n)
		}
	}
}

// TestOnlyBadDocumentsAreRefused holds the structured documents to their points:
// without one that asks for a refusal they are accepted.
func TestOnlyBadDocumentsAreRefused(t *testing.T) {
	for _, documentType := range reference.Types {
		generator := New(documentType, seed)
		for range 10_000 {
			document := generator.structured()
			isLegal := true
			for _, point := range AllPoints() {
				isLegal = isLegal && (point.IsLegal() || !document.Points.Has(point))
			}
			if _, err := reference.Canonical(documentType, document.Bytes); isLegal && err != nil {
				t.Fatalf("%s: %q was refused: %v", documentType, document.Bytes, err)
			}
		}
	}
}

func TestPointsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, point := range AllPoints() {
		if point.String() == "" || seen[point.String()] {
			t.Errorf("point %d is called %q", int(point), point)
		}
		seen[point.String()] = true
	}
}
