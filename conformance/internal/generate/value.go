package generate

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// name writes a string as the fields of the format hold them.
func (w *writer) name() {
	switch {
	case w.replaced(NullField):
	case w.isBad():
		w.badText()
	case w.isOdd():
		w.oddText()
	default:
		w.text(`"` + w.pick("u", "app/0", "8f2d6a4c-93d1-4c57-9a40-5b6d1f3c2e10", "bob/production", "ch:amd64/jammy/storage-42", "12.5", "GREEN", "RED", "") + `"`)
	}
}

// oddText writes a legal string out of unusual pieces.
func (w *writer) oddText() {
	w.text(`"`)
	for range 1 + w.random.IntN(4) {
		w.oddPiece()
	}
	w.text(`"`)
}

func (w *writer) oddPiece() {
	switch w.random.IntN(10) {
	case 0:
		w.points.Add(TextEscape)
		w.text(w.pick(`\"`, `\\`, `\/`, `\b`, `\f`, `\n`, `\r`, `\t`))
	case 1:
		w.points.Add(TextUnicodeEscape)
		w.unicodeEscape([]rune{0, 8, 12, 31, '<', 'a', 0x7f, 0x85, 0xe9, 0x2028, 0xfffd, 0xffff, rune(w.random.IntN(0xd800))}[w.random.IntN(13)])
	case 2:
		w.points.Add(TextSurrogatePair)
		w.text(fmt.Sprintf(`\u%04x\u%04X`, 0xd800+w.random.IntN(0x400), 0xdc00+w.random.IntN(0x400)))
	case 3:
		w.points.Add(TextLoneSurrogate)
		w.text(fmt.Sprintf(`\u%04x`, 0xd800+w.random.IntN(0x800)))
	case 4:
		w.points.Add(TextBrokenUTF8)
		if w.random.IntN(2) == 0 {
			w.text(w.pick("\xff", "\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe0\x80\xaf", "\xf8\x88\x80\x80\x80"))
			return
		}
		for range 1 + w.random.IntN(4) {
			w.out = append(w.out, byte(0x80+w.random.IntN(0x80)))
		}
	case 5:
		w.points.Add(TextHTML)
		w.text(w.pick("<", ">", "&", "</script>", "\u2028", "\u2029", "a&b", "\u2027"))
	case 6:
		w.points.Add(TextNonASCII)
		w.text(w.pick("é", "日本", "😀", "\ufffd", "\uffff", "\ue000", "\U0010ffff", "\u0080", "\ufeff", "ß", "\u0130"))
	case 7:
		if w.random.IntN(10) == 0 {
			w.points.Add(TextLong)
			w.text(strings.Repeat(w.pick("x", "é", "<", `\n`, "\xff"), 1+w.random.IntN(80)))
		}
	default:
		w.text(w.pick("a", "Z", "~", " ", "'", "\x7f", "metric", "0", "u0041", "/"))
	}
}

func (w *writer) unicodeEscape(character rune) {
	if w.random.IntN(2) == 0 {
		w.text(fmt.Sprintf(`\u%04x`, character))
	} else {
		w.text(fmt.Sprintf(`\u%04X`, character))
	}
}

func (w *writer) badText() {
	if w.random.IntN(2) == 0 {
		w.points.Add(TextBadEscape)
		w.text(`"a` + w.pick(`\x41`, `\'`, `\u12`, `\u12g4`, `\U0041`, `\0`, `\a`, `\ud800\u12`, `\é`, "\\\xff", `\u{41}`) + `"`)
		return
	}
	w.points.Add(TextControlCharacter)
	w.text(fmt.Sprintf(`"a%cb"`, w.random.IntN(0x20)))
}

// bytes writes one of the forms of []byte.
func (w *writer) bytes() {
	switch {
	case w.replaced(NullField):
	case w.isBad():
		w.badBytes()
	case w.isOdd():
		w.oddBytes()
	case w.random.IntN(3) == 0:
		w.points.Add(BytesEmpty)
		w.text(`""`)
	default:
		w.points.Add(BytesBase64)
		w.text(`"` + base64.StdEncoding.EncodeToString(w.someBytes()) + `"`)
	}
}

func (w *writer) someBytes() []byte {
	some := make([]byte, w.random.IntN(14))
	for i := range some {
		some[i] = byte(w.random.Uint32())
	}
	return some
}

func (w *writer) oddBytes() {
	encoded := base64.StdEncoding.EncodeToString(w.someBytes())
	switch w.random.IntN(4) {
	case 0:
		w.points.Add(BytesWithLineEnds)
		w.text(`"`)
		for _, letter := range encoded {
			if w.random.IntN(4) == 0 {
				w.text(w.pick(`\n`, `\r`, `\r\n`, `\u000a`))
			}
			w.text(string(letter))
		}
		w.text(w.pick("", `\n`, `\n\r`) + `"`)
	case 1:
		w.points.Add(BytesWithLooseBits)
		w.text(`"` + w.pick("QR==", "QUJ=", "Q/==", "QUL=", "QUJDRF==", `\/\/\/\/`, `\u0051Q==`, "////", "QUJDREVGR0hJ//==") + `"`)
	case 2:
		w.points.Add(BytesListOfNulls)
		w.text("[" + strings.TrimSuffix(strings.Repeat("null,", 1+w.random.IntN(20)), ",") + "]")
	default:
		w.points.Add(BytesAsList)
		w.text("[")
		for i := range w.random.IntN(10) {
			if i > 0 {
				w.comma()
			}
			if w.isOdd() {
				w.text("null")
			} else {
				w.text(fmt.Sprint(w.random.IntN(256)))
			}
		}
		w.text("]")
	}
}

func (w *writer) badBytes() {
	if w.random.IntN(2) == 0 {
		w.points.Add(BytesBadBase64)
		w.text(`"` + w.pick("Q", "QQ", "QQ=", "QQ===", "=", "====", "Q===", "QUJD=", "QQ==QQ==", "Q=Q=", "-AAA", "_AAA", "QU JD", "QUJé", "QUJ\xff", "QQ==\\nQQ==", `QU\tJD`, "QUJDQUJDQUJ-QUJD") + `"`)
		return
	}
	w.points.Add(BytesBadList)
	w.text("[1," + w.pick("256", "-1", "-0", "1.0", "1e0", `"A"`, "true", "[]", "{}", "18446744073709551616") + "]")
}

func (w *writer) gracePeriod() {
	switch {
	case w.replaced(NullField):
	case w.isBad():
		w.points.Add(GracePeriodBad)
		w.text(w.pick("9223372036854775808", "-9223372036854775809", "1.0", "1e9", "-0.0", "0e0", "1.5", "100000000000000000000000"))
	case w.isOdd():
		w.points.Add(GracePeriodExtreme)
		w.text(w.pick("9223372036854775807", "-9223372036854775808", "-0", "0", "-1", "9223372036854775806"))
	default:
		w.text(fmt.Sprint(w.random.Int64() >> w.random.IntN(64)))
	}
}

// anything writes a value that nobody reads.
func (w *writer) anything() { w.nestedValue(4) }

func (w *writer) nestedValue(levels int) {
	choice := w.random.IntN(8)
	if levels == 0 {
		choice = w.random.IntN(5)
	}
	switch {
	case w.isBad():
		w.wrongSyntax()
	case choice == 0:
		w.text(w.pick("null", "true", "false"))
	case choice == 1:
		w.points.Add(NumberOdd)
		w.text(w.pick("0", "-0", "1e5", "1E+5", "-1.5e-05", "1e999", "0.0", "123456789012345678901234567890", "-0e0"))
	case choice < 4:
		w.oddText()
	case choice == 4:
		w.text(`"x"`)
	case choice == 5:
		w.list(w.random.IntN(3), func() { w.nestedValue(levels - 1) })
	default:
		w.object([]member{{"", func() { w.nestedValue(levels - 1) }}, {"uuid", func() { w.nestedValue(levels - 1) }}})
	}
}

// wrong writes a value of a type that rarely belongs where it stands.
func (w *writer) wrong() {
	if w.random.IntN(3) == 0 {
		w.wrongSyntax()
		return
	}
	w.points.Add(TypeWrong)
	w.text(w.pick("true", "false", "1", "1.5", `"QUJD"`, `"text"`, "[]", "{}", "[1]", `{"a":1}`, `["a"]`))
}

func (w *writer) wrongSyntax() {
	if w.random.IntN(2) == 0 {
		w.points.Add(LiteralBad)
		w.text(w.pick("nul", "nulll", "NULL", "True", "truefalse", "undefined", "'a'", "nan", "n", "tru e"))
		return
	}
	w.points.Add(NumberBad)
	w.text(w.pick("01", "-01", "1.", ".5", "-", "1e", "1e+", "+1", "0x1", "1_0", "--1", "NaN", "1.e1", "00", "Infinity", "-Infinity"))
}
