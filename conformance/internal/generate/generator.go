// Package generate makes random documents of the wire format: most of them
// nearly right, in every way that the format allows to be odd, and wrong in
// every way that it refuses.
package generate

import (
	"bytes"
	"math/rand/v2"

	"github.com/tollgate-metering/tollgate/conformance/internal/reference"
	"github.com/tollgate-metering/tollgate/conformance/internal/vectors"
)

// Document is one random document, without a newline, so that it fits on a line.
type Document struct {
	Bytes  []byte
	Points Points
}

// Generator makes documents of one type. The same seed gives the same documents.
type Generator struct {
	documentType reference.Type
	random       *rand.Rand
	vectors      [][]byte
}

// New gives the generator of documents of type t for a seed.
func New(t reference.Type, seed uint64) *Generator {
	var stream uint64
	for _, letter := range []byte(t) {
		stream = stream*31 + uint64(letter)
	}
	return &Generator{
		documentType: t,
		random:       rand.New(rand.NewPCG(seed, stream)),
		vectors:      shortInputs(t),
	}
}

// shortInputs leaves out the vectors about nesting: the generator makes its own,
// more rarely, because they are a thousand times longer than the rest.
func shortInputs(t reference.Type) [][]byte {
	const bytesMax = 2_000
	var short [][]byte
	for _, input := range vectors.Inputs(t) {
		if len(input) <= bytesMax {
			short = append(short, input)
		}
	}
	return short
}

// Next makes the next document.
func (g *Generator) Next() Document {
	var document Document
	switch choice := g.random.IntN(1000); {
	case choice < 560:
		document = g.structured()
	case choice < 700:
		document = g.mutate(g.structured().Bytes)
	case choice < 760:
		document = Document{Bytes: g.vector()}
		document.Points.Add(VectorAsItIs)
	case choice < 860:
		document = g.mutate(g.vector())
	case choice < 960:
		document = g.splice()
	case choice < 980:
		document = g.cut()
	case choice < 998:
		document = g.withTail()
	case choice < 999:
		document.Points.Add(DocumentEmpty)
	default:
		document = g.nested()
	}
	// A carriage return is refused and skipped in the same places as a newline.
	document.Bytes = bytes.ReplaceAll(document.Bytes, []byte("\n"), []byte("\r"))
	return document
}

// structured writes a document from the inside: all its oddities are known.
func (g *Generator) structured() Document {
	w := writer{random: g.random}
	switch g.random.IntN(10) {
	case 0:
		w.oddity = 0
	case 1, 2, 3, 4:
		w.oddity = 0.05
	default:
		w.oddity = 0.25
	}
	switch g.random.IntN(20) {
	case 0:
		w.badness = 0.2
	case 1, 2, 3:
		w.badness = 0.03
	}
	w.document(g.documentType)
	return Document{Bytes: w.out, Points: w.points}
}

func (g *Generator) vector() []byte {
	return bytes.Clone(g.vectors[g.random.IntN(len(g.vectors))])
}
