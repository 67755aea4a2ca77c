package generate

import (
	"bytes"
	"slices"
	"strings"

	"github.com/tollgate-metering/tollgate/conformance/internal/reference"
)

// spare are bytes and pieces that mean something in JSON or in one of our values.
var spare = []string{
	"{", "}", "[", "]", ":", ",", `"`, `\`, "0", "1", "9", "-", "+", ".", "e", "E", "n", "null", "true", "false", " ", "\t", "\r", "\x00", "\x1f", "\x7f", "\x80", "\xff",
	"\xe2\x80\xa8", "é", `\u`, `\ud83d`, `\ude00`, "=", "==", "/", "Z", "T", "<", "&", "ſ", "K", `""`, "[]", "{}", ",null", `"uuid":`, `,"metrics":[{}]`, `,"acks":[null]`, `,"credentials":[null,null]`,
}

// mutate changes a document by a few random edits that know nothing of its structure.
func (g *Generator) mutate(document []byte) Document {
	for range 1 + g.random.IntN(3) {
		document = g.edit(document)
	}
	var mutated Document
	mutated.Bytes = document
	mutated.Points.Add(BytesMutated)
	return mutated
}

func (g *Generator) edit(document []byte) []byte {
	from, to := g.span(document)
	switch g.random.IntN(8) {
	case 0:
		return slices.Delete(document, from, to)
	case 1:
		return slices.Insert(document, from, bytes.Clone(document[from:to])...)
	case 2, 3:
		return slices.Insert(document, from, []byte(spare[g.random.IntN(len(spare))])...)
	case 4:
		return slices.Replace(document, from, to, []byte(spare[g.random.IntN(len(spare))])...)
	case 5:
		if from < len(document) {
			document[from] ^= 1 << g.random.IntN(8)
		}
		return document
	case 6:
		return g.swapCase(document)
	default:
		return g.nullOne(document)
	}
}

// span is a random range of a document, most often short.
func (g *Generator) span(document []byte) (from, to int) {
	from = g.random.IntN(len(document) + 1)
	to = min(from+1+g.random.IntN(1+g.random.IntN(30)), len(document))
	return min(from, to), to
}

// swapCase changes the case of one letter; most letters are in keys.
func (g *Generator) swapCase(document []byte) []byte {
	for range 8 {
		if len(document) == 0 {
			break
		}
		at := g.random.IntN(len(document))
		if letter := document[at] | 0x20; 'a' <= letter && letter <= 'z' {
			document[at] ^= 0x20
			break
		}
	}
	return document
}

// nullOne puts null in place of one string.
func (g *Generator) nullOne(document []byte) []byte {
	found := stringSpans(document)
	if len(found) == 0 {
		return document
	}
	one := found[g.random.IntN(len(found))]
	return slices.Replace(document, one.from, one.to, []byte("null")...)
}

// splice puts a string, list or object of one document where another had one.
func (g *Generator) splice() Document {
	into, from := g.spliceSource(), g.spliceSource()
	find := valueSpans
	if g.random.IntN(2) == 0 {
		find = stringSpans
	}
	targets, values := find(into), find(from)
	var spliced Document
	spliced.Points.Add(VectorSpliced)
	spliced.Bytes = into
	if len(targets) > 0 && len(values) > 0 {
		target, value := targets[g.random.IntN(len(targets))], values[g.random.IntN(len(values))]
		spliced.Bytes = slices.Replace(into, target.from, target.to, from[value.from:value.to]...)
	}
	return spliced
}

func (g *Generator) spliceSource() []byte {
	if g.random.IntN(2) == 0 {
		return g.structured().Bytes
	}
	return g.vector()
}

// cut ends a document too early.
func (g *Generator) cut() Document {
	document := g.structured()
	if len(document.Bytes) > 0 {
		document.Bytes = document.Bytes[:g.random.IntN(len(document.Bytes))]
	}
	document.Points = 0
	document.Points.Add(DocumentCut)
	return document
}

// withTail adds something after the end of a document.
func (g *Generator) withTail() Document {
	document := g.structured()
	document.Bytes = append(document.Bytes, spare[g.random.IntN(len(spare))]...)
	document.Points = 0
	document.Points.Add(DocumentWithTail)
	return document
}

// nested goes to the limit of nesting, or one level beyond.
func (g *Generator) nested() Document {
	const levels = 10_000
	var document Document
	inner := levels - 1
	if g.documentType == reference.MetricBatches {
		inner--
	}
	if g.random.IntN(2) == 0 {
		document.Points.Add(NestingAtLimit)
	} else {
		inner++
		document.Points.Add(NestingBeyondLimit)
	}
	text := `{"x":` + strings.Repeat("[", inner) + strings.Repeat("]", inner) + `}`
	if g.documentType == reference.MetricBatches {
		text = "[" + text + "]"
	}
	document.Bytes = []byte(text)
	return document
}

type span struct{ from, to int }

// stringSpans finds the quoted strings of a document, well-formed or not.
func stringSpans(document []byte) []span {
	var found []span
	open := -1
	for i := 0; i < len(document); i++ {
		switch {
		case document[i] == '\\' && open >= 0:
			i++
		case document[i] == '"' && open < 0:
			open = i
		case document[i] == '"':
			found = append(found, span{open, i + 1})
			open = -1
		}
	}
	return found
}

// valueSpans finds the lists and objects of a document, as far as its brackets match.
func valueSpans(document []byte) []span {
	var found []span
	var open []int
	quoted := stringSpans(document)
	for i := 0; i < len(document); i++ {
		if len(quoted) > 0 && i == quoted[0].from {
			i = quoted[0].to - 1
			quoted = quoted[1:]
			continue
		}
		switch document[i] {
		case '[', '{':
			open = append(open, i)
		case ']', '}':
			if len(open) > 0 {
				found = append(found, span{open[len(open)-1], i + 1})
				open = open[:len(open)-1]
			}
		}
	}
	return found
}
