// Package vectors holds the golden vectors of the wire format: documents chosen
// by hand, rule by rule, each with what the reference makes of it.
//
// The answers are never written by hand; Write asks the reference. What is
// written by hand is the verdict that each document was made for, and a test
// holds the two together, so a slip of the pen cannot turn a vector about one
// rule into a vector about a syntax error.
package vectors

import (
	"slices"

	"github.com/tollgate-metering/tollgate/conformance/internal/reference"
)

// Vector is one document that shows one rule.
type Vector struct {
	// Name is unique, and starts with the rule.
	Name  string
	Rule  string
	Type  reference.Type
	Input []byte
	// RefusedBy is the stage that must refuse the document; empty when it must be accepted.
	RefusedBy reference.Stage
}

// rules in the order in which a reader of the format would ask.
var rules = []struct {
	name  string
	write func(*rule)
}{
	{"shape", shape},
	{"whitespace", whitespace},
	{"literal", literals},
	{"number-syntax", numberSyntax},
	{"trailing-data", trailingData},
	{"truncation", truncation},
	{"nesting", nesting},
	{"field", fieldsAlone},
	{"missing-key", missingKeys},
	{"unknown-key", unknownKeys},
	{"key-case", keyCase},
	{"key-escape", keyEscapes},
	{"null", nulls},
	{"empty", empties},
	{"wrong-type", wrongTypes},
	{"duplicate-key", duplicateKeys},
	{"slice-reuse", sliceReuse},
	{"error-order", errorOrder},
	{"base64", base64Text},
	{"byte-array", byteArrays},
	{"time", times},
	{"grace-period", gracePeriods},
	{"string-escape", stringEscapes},
	{"surrogate", surrogates},
	{"utf8", brokenUTF8},
	{"control-character", controlCharacters},
	{"html", htmlCharacters},
	{"map-key", mapKeys},
	{"real", realDocuments},
}

// All gives every vector, rule by rule.
func All() []Vector {
	var all []Vector
	for _, one := range rules {
		r := rule{name: one.name}
		one.write(&r)
		all = append(all, r.vectors...)
	}
	return all
}

// Inputs gives the documents of one type, for callers that want to vary them.
func Inputs(t reference.Type) [][]byte {
	var inputs [][]byte
	for _, vector := range All() {
		if vector.Type == t {
			inputs = append(inputs, slices.Clone(vector.Input))
		}
	}
	return inputs
}

// rule collects the vectors of one rule.
type rule struct {
	name    string
	vectors []Vector
}

func (r *rule) add(t reference.Type, name, input string, refusedBy reference.Stage) {
	r.vectors = append(r.vectors, Vector{
		Name:      r.name + "/" + name,
		Rule:      r.name,
		Type:      t,
		Input:     []byte(input),
		RefusedBy: refusedBy,
	})
}

// accepts adds a document that has a canonical form.
func (r *rule) accepts(t reference.Type, name, input string) { r.add(t, name, input, "") }

// refuses adds a document that does not decode.
func (r *rule) refuses(t reference.Type, name, input string) { r.add(t, name, input, reference.Decode) }

// cannotWrite adds a document that decodes into something that does not encode.
func (r *rule) cannotWrite(t reference.Type, name, input string) {
	r.add(t, name, input, reference.Encode)
}

const (
	batches  = reference.MetricBatches
	response = reference.Response
	users    = reference.UserStatusResponse
)
