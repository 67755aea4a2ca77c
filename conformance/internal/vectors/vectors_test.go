package vectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tollgate-metering/tollgate/conformance/internal/reference"
)

const golden = "../../../crates/tollgate-wire/golden"

// TestGoldenFilesAreCurrent compares the committed files with what the generator writes now.
func TestGoldenFilesAreCurrent(t *testing.T) {
	files, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name, content := range files {
		names = append(names, name)
		committed, err := os.ReadFile(filepath.Join(golden, name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(committed, content) {
			t.Errorf("%s is out of date: run go run ./cmd/vectors -out ../crates/tollgate-wire/golden", name)
		}
	}
	err = filepath.WalkDir(golden, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(golden, path)
		if err == nil && !slices.Contains(names, name) {
			t.Errorf("%s is in the golden folder, but nothing generates it", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestVerdicts holds each vector to the verdict that it was made for.
func TestVerdicts(t *testing.T) {
	for _, vector := range All() {
		canonical, err := reference.Canonical(vector.Type, vector.Input)
		var stage reference.Stage
		var refusal *reference.Refusal
		if errors.As(err, &refusal) {
			stage = refusal.Stage
		}
		if stage != vector.RefusedBy {
			t.Errorf("%s: want refused by %q, got %q: %v\n%.300q", vector.Name, vector.RefusedBy, stage, err, vector.Input)
		}
		if !utf8.Valid(canonical) || bytes.ContainsRune(canonical, '\n') {
			t.Errorf("%s: canonical form is not one line of UTF-8: %q", vector.Name, canonical)
		}
	}
}

// TestCanonicalIsAFixedPoint reads each canonical form again.
func TestCanonicalIsAFixedPoint(t *testing.T) {
	for _, vector := range All() {
		once, err := reference.Canonical(vector.Type, vector.Input)
		if err != nil {
			continue
		}
		twice, err := reference.Canonical(vector.Type, once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%s: %q became %q, %v", vector.Name, once, twice, err)
		}
	}
}

func TestNamesAreUniqueAndInputsAreNot(t *testing.T) {
	seen := map[string]bool{}
	inputs := map[string]string{}
	for _, vector := range All() {
		if seen[vector.Name] {
			t.Errorf("two vectors are called %s", vector.Name)
		}
		seen[vector.Name] = true
		if strings.ContainsFunc(vector.Name, func(r rune) bool { return r <= ' ' }) {
			t.Errorf("the name %q holds blanks", vector.Name)
		}
		key := string(vector.Type) + "\x00" + vector.Rule + "\x00" + string(vector.Input)
		if other, ok := inputs[key]; ok {
			t.Errorf("%s and %s are the same document", vector.Name, other)
		}
		inputs[key] = vector.Name
	}
}

// TestSizes keeps the promise of many vectors in a file that can still be opened.
func TestSizes(t *testing.T) {
	if n := len(All()); n < 400 {
		t.Errorf("only %d vectors", n)
	}
	lines, err := vectorLines()
	if err != nil {
		t.Fatal(err)
	}
	if bytesMax := 2 << 20; len(lines) > bytesMax {
		t.Errorf("vectors.jsonl has %d bytes", len(lines))
	}
}

// TestExamplesAreWhole finds fields of the examples that show only a zero value.
func TestExamplesAreWhole(t *testing.T) {
	for name, example := range examples() {
		encoded, err := json.Marshal(example)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(encoded, []byte("0001-01-01")) {
			t.Errorf("example %s holds the zero time: %s", name, encoded)
		}
	}
}
