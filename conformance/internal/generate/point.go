package generate

import "math/bits"

// Point is something that must happen sometimes: a rule of the format that a
// random document bore on. A run that never reached one has not tested it.
type Point int

// Points of documents that can be accepted.
const (
	KeyInOtherCase Point = iota
	KeyFolded
	KeyEscaped
	KeyMissing
	KeyUnknown
	KeyRepeated
	KeyRepeatedInOtherCase
	MembersShuffled
	Whitespace
	NullDocument
	NullField
	NullElement
	NullInMap
	ListEmpty
	ListLong
	MapEmpty
	MapLarge
	MapKeyOdd
	BytesBase64
	BytesEmpty
	BytesWithLineEnds
	BytesWithLooseBits
	BytesAsList
	BytesListOfNulls
	TimePlain
	TimeFraction
	TimeManyDigits
	TimeComma
	TimeShortHour
	TimeOffset
	TimeOffsetZero
	TimeOffsetOfSixtyMinutes
	TextEscape
	TextUnicodeEscape
	TextSurrogatePair
	TextLoneSurrogate
	TextBrokenUTF8
	TextHTML
	TextNonASCII
	TextLong
	NumberOdd
	GracePeriodExtreme
	NestingAtLimit
	VectorAsItIs
	VectorSpliced
	BytesMutated
	firstRefused
)

// Points of documents that must be refused.
const (
	TimeBad Point = firstRefused + iota
	TimeUnwritable
	TextBadEscape
	TextControlCharacter
	BytesBadBase64
	BytesBadList
	TypeWrong
	NumberBad
	GracePeriodBad
	LiteralBad
	DocumentEmpty
	DocumentCut
	DocumentWithTail
	NestingBeyondLimit
	nPoints
)

// AllPoints lists every point in order.
func AllPoints() []Point {
	all := make([]Point, nPoints)
	for i := range all {
		all[i] = Point(i)
	}
	return all
}

// IsLegal tells whether the point must be seen in accepted documents, or else in
// refused ones.
func (p Point) IsLegal() bool { return p < firstRefused }

func (p Point) String() string { return names[p] }

var names = [nPoints]string{
	KeyInOtherCase: "key-in-other-case", KeyFolded: "key-folded", KeyEscaped: "key-escaped", KeyMissing: "key-missing",
	KeyUnknown: "key-unknown", KeyRepeated: "key-repeated", KeyRepeatedInOtherCase: "key-repeated-in-other-case",
	MembersShuffled: "members-shuffled", Whitespace: "whitespace", NullDocument: "null-document", NullField: "null-field",
	NullElement: "null-element", NullInMap: "null-in-map", ListEmpty: "list-empty", ListLong: "list-long", MapEmpty: "map-empty",
	MapLarge: "map-large", MapKeyOdd: "map-key-odd", BytesBase64: "bytes-base64", BytesEmpty: "bytes-empty",
	BytesWithLineEnds: "bytes-with-line-ends", BytesWithLooseBits: "bytes-with-loose-bits", BytesAsList: "bytes-as-list",
	BytesListOfNulls: "bytes-list-of-nulls", TimePlain: "time-plain", TimeFraction: "time-fraction",
	TimeManyDigits: "time-many-digits", TimeComma: "time-comma", TimeShortHour: "time-short-hour", TimeOffset: "time-offset",
	TimeOffsetZero: "time-offset-zero", TimeOffsetOfSixtyMinutes: "time-offset-of-sixty-minutes", TextEscape: "text-escape",
	TextUnicodeEscape: "text-unicode-escape", TextSurrogatePair: "text-surrogate-pair", TextLoneSurrogate: "text-lone-surrogate",
	TextBrokenUTF8: "text-broken-utf8", TextHTML: "text-html", TextNonASCII: "text-non-ascii", TextLong: "text-long",
	NumberOdd: "number-odd", GracePeriodExtreme: "grace-period-extreme", NestingAtLimit: "nesting-at-limit",
	VectorAsItIs: "vector-as-it-is", VectorSpliced: "vector-spliced", BytesMutated: "bytes-mutated",
	TimeBad: "time-bad", TimeUnwritable: "time-unwritable", TextBadEscape: "text-bad-escape",
	TextControlCharacter: "text-control-character", BytesBadBase64: "bytes-bad-base64", BytesBadList: "bytes-bad-list",
	TypeWrong: "type-wrong", NumberBad: "number-bad", GracePeriodBad: "grace-period-bad", LiteralBad: "literal-bad",
	DocumentEmpty: "document-empty", DocumentCut: "document-cut", DocumentWithTail: "document-with-tail",
	NestingBeyondLimit: "nesting-beyond-limit",
}

// Points is a set of them.
type Points uint64

// Add puts p into the set.
func (s *Points) Add(p Point) { *s |= 1 << p }

// Has tells whether p is in the set.
func (s Points) Has(p Point) bool { return s&(1<<p) != 0 }

// Len is the number of points in the set.
func (s Points) Len() int { return bits.OnesCount64(uint64(s)) }

// The set is one word; this does not compile when there are more points.
const _ = uint(64 - nPoints)
