package vectors

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// stringRecord is one line of strings.jsonl: the bytes of a Go string, and what
// json.Marshal makes of them.
type stringRecord struct {
	Name string `json:"name"`
	Hex  string `json:"hex"`
	JSON string `json:"json"`
}

type namedString struct{ name, text string }

func stringLines() ([]byte, error) {
	var lines bytes.Buffer
	for _, one := range rawStrings() {
		encoded, err := json.Marshal(one.text)
		if err != nil {
			return nil, fmt.Errorf("encode string %s: %w", one.name, err)
		}
		line := stringRecord{Name: one.name, Hex: hex.EncodeToString([]byte(one.text)), JSON: string(encoded)}
		if err := appendLine(&lines, line); err != nil {
			return nil, fmt.Errorf("write string %s: %w", one.name, err)
		}
	}
	return lines.Bytes(), nil
}

// rawStrings are strings as Go holds them, where broken UTF-8 has not been
// repaired by a decoder.
func rawStrings() []namedString {
	all := []namedString{
		{"empty", ""}, {"word", "metrics"}, {"sentence", "used 12.5 of 20 this month"}, {"printable-ascii", unescapedASCII()},
		{"quote-at-start", `"a`}, {"quote-at-end", `a"`}, {"only-backslashes", `\\\`}, {"looks-escaped", `\u003c\n`}, {"windows-path", `C:\new\table`},
		{"html", `<a href="x?a=1&b=2">it's</a>`}, {"separators", "a\u2028b\u2029c"}, {"near-separators", "\u2027\u202a\u2020\u2030"}, {"delete", "\x7f"}, {"c1-controls", "\u0080\u0085\u009f"},
		{"byte-order-mark", "\ufeffa"}, {"replacement-character", "\ufffd"}, {"replacement-character-beside-broken", "\ufffd\xff\ufffd"}, {"noncharacters", "\ufffe\uffff\U0001fffe\ufdd0"},
		{"nul-inside", "a\x00b"}, {"all-controls", allControls()}, {"latin", "café"}, {"combining", "cafe\u0301"}, {"greek", "Ωμέγα"}, {"han", "計量"}, {"arabic", "مقياس"}, {"emoji", "😀🚀"}, {"emoji-joined", "👩‍💻"}, {"flags", "🇫🇷"},
		{"first-two-bytes", "\u0080"}, {"last-two-bytes", "\u07ff"}, {"first-three-bytes", "\u0800"}, {"last-three-bytes", "\uffff"}, {"first-four-bytes", "\U00010000"}, {"last-character", "\U0010ffff"}, {"around-surrogates", "\ud7ff\ue000"},
		{"surrogate-high", "\xed\xa0\x80"}, {"surrogate-low", "\xed\xb0\x80"}, {"surrogate-pair", "\xed\xa0\xbd\xed\xb8\x80"}, {"overlong-nul", "\xc0\x80"}, {"overlong-less", "\xc0\xbc"}, {"overlong-three", "\xe0\x80\xaf"}, {"overlong-separator", "\xf0\x82\x80\xa8"}, {"overlong-four", "\xf0\x80\x80\xaf"},
		{"beyond-unicode", "\xf4\x90\x80\x80"}, {"five-byte", "\xf8\x88\x80\x80\x80"}, {"six-byte", "\xfc\x84\x80\x80\x80\x80"}, {"cut-two", "a\xc3"}, {"cut-three", "a\xe2\x82"}, {"cut-four", "a\xf0\x9f\x98"}, {"cut-two-then-letter", "\xc3a"}, {"cut-three-then-letter", "\xe2\x82a"}, {"cut-four-then-letter", "\xf0\x9f\x98a"},
		{"cut-separator", "\xe2\x80"}, {"cut-separator-then-quote", "\xe2\x80\""}, {"cut-separator-then-separator", "\xe2\x80\u2028"}, {"lead-then-lead", "\xe2\xe2\x82\xac"}, {"continuations", "\x80\x81\xbe\xbf"}, {"latin1", "caf\xe9"}, {"utf16", "\xff\xfea\x00"}, {"broken-beside-html", "<\xff>&\xfe"}, {"broken-beside-escapes", "\n\xff\t\xfe\""},
		{"broken-at-both-ends", "\xffmid\xff"}, {"1000-letters", strings.Repeat("x", 1000)}, {"1000-quotes", strings.Repeat(`"`, 1000)}, {"300-broken-bytes", strings.Repeat("\xff", 300)}, {"300-separators", strings.Repeat("\u2028", 300)},
	}
	for i := range 17 {
		all = append(all, namedString{fmt.Sprintf("html-at-%02d", i), strings.Repeat("a", i) + "<" + strings.Repeat("b", 16-i)})
		all = append(all, namedString{fmt.Sprintf("broken-at-%02d", i), strings.Repeat("a", i) + "\xff" + strings.Repeat("b", 16-i)})
	}
	for b := range 256 {
		all = append(all, namedString{fmt.Sprintf("byte-%02x", b), string([]byte{byte(b)})})
	}
	return all
}

func unescapedASCII() string {
	var text strings.Builder
	for c := byte(' '); c < 0x7f; c++ {
		text.WriteByte(c)
	}
	return text.String()
}

func allControls() string {
	var text strings.Builder
	for c := range byte(' ') {
		text.WriteByte(c)
	}
	return text.String()
}
