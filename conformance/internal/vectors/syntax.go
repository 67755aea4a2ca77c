package vectors

import (
	"fmt"
	"strings"
)

// shape: what may stand at the top of a document.
func shape(r *rule) {
	for _, document := range []struct{ name, input string }{
		{"empty-input", ``},
		{"only-blanks", "  \t\r\n "},
		{"string", `"[]"`},
		{"number", `1`},
		{"true", `true`},
		{"false", `false`},
		{"bare-word", `metrics`},
		{"single-quotes", `'uuid'`},
		{"comment", `/* */[]`},
		{"only-comma", `,`},
		{"only-colon", `:`},
		{"closing-bracket", `]`},
		{"closing-brace", `}`},
	} {
		r.refuses(batches, "metric-batches-"+document.name, document.input)
		r.refuses(response, "response-"+document.name, document.input)
		r.refuses(users, "user-status-response-"+document.name, document.input)
	}
	r.accepts(batches, "metric-batches-list", `[]`)
	r.accepts(batches, "metric-batches-null", `null`)
	r.refuses(batches, "metric-batches-object", `{}`)
	r.refuses(batches, "metric-batches-single-batch", `{"uuid":"u"}`)
	r.accepts(response, "response-object", `{}`)
	r.accepts(response, "response-null", `null`)
	r.refuses(response, "response-list", `[]`)
	r.accepts(users, "user-status-response-object", `{}`)
	r.accepts(users, "user-status-response-null", `null`)
	r.refuses(users, "user-status-response-list", `[{}]`)
	r.refuses(batches, "list-with-trailing-comma", `[{},]`)
	r.refuses(batches, "list-with-leading-comma", `[,{}]`)
	r.refuses(batches, "list-with-two-commas", `[{},,{}]`)
	r.refuses(batches, "list-without-comma", `[{} {}]`)
	r.refuses(batches, "list-closed-by-brace", `[{}}`)
	r.refuses(batches, "object-closed-by-bracket", `[{]]`)
	r.refuses(response, "object-with-trailing-comma", `{"uuid":"u",}`)
	r.refuses(response, "object-with-leading-comma", `{,"uuid":"u"}`)
	r.refuses(response, "object-without-colon", `{"uuid" "u"}`)
	r.refuses(response, "object-with-two-colons", `{"uuid"::"u"}`)
	r.refuses(response, "object-without-value", `{"uuid":}`)
	r.refuses(response, "object-with-comma-for-colon", `{"uuid","u"}`)
	r.refuses(response, "object-without-comma", `{"uuid":"u" "new-grace-period":1}`)
	r.refuses(response, "object-with-bare-key", `{uuid:"u"}`)
	r.refuses(response, "object-with-single-quoted-key", `{'uuid':"u"}`)
	r.refuses(response, "object-with-null-key", `{null:"u"}`)
	r.refuses(response, "object-with-number-key", `{1:"u"}`)
	r.refuses(response, "raw-non-ascii-between-tokens", "{\u00a0\"uuid\":\"u\"}")
	r.refuses(response, "broken-utf8-between-tokens", "{\xff\"uuid\":\"u\"}")
}

// whitespace: blank, tab, newline and carriage return may stand between tokens.
func whitespace(r *rule) {
	tokens := []string{`[`, `{`, `"uuid"`, `:`, `"u"`, `,`, `"metrics"`, `:`, `[`, `{`, `}`, `,`, `null`, `]`, `}`, `,`, `{`, `}`, `]`}
	for _, blank := range []struct{ name, text string }{
		{"blank", " "}, {"tab", "\t"}, {"newline", "\n"}, {"carriage-return", "\r"}, {"all-four", " \t\r\n"},
	} {
		r.accepts(batches, blank.name+"-between-all-tokens", blank.text+strings.Join(tokens, blank.text)+blank.text)
	}
	for _, blank := range []struct{ name, text string }{
		{"form-feed", "\f"}, {"vertical-tab", "\v"}, {"nul", "\x00"}, {"backspace", "\b"}, {"no-break-space", "\u00a0"},
		{"line-separator", "\u2028"}, {"next-line", "\u0085"}, {"ideographic-space", "\u3000"}, {"zero-width-space", "\u200b"},
	} {
		r.refuses(batches, blank.name+"-before", blank.text+`[]`)
		r.refuses(batches, blank.name+"-inside", `[`+blank.text+`]`)
		r.refuses(batches, blank.name+"-after", `[]`+blank.text)
	}
	r.refuses(batches, "utf8-byte-order-mark", "\ufeff[]")
	r.refuses(batches, "utf16-byte-order-mark", "\xff\xfe[\x00]\x00")
	r.refuses(batches, "utf16-without-mark", "[\x00]\x00")
	r.accepts(batches, "line-per-member", "[\n  {\n    \"uuid\": \"u\",\n    \"created\": \"2016-02-03T04:05:06Z\"\n  }\n]\n")
	r.accepts(batches, "windows-line-ends", "[\r\n{\r\n\"uuid\": \"u\"\r\n}\r\n]\r\n")
}

// literals: true, false and null are lower case and whole.
func literals(r *rule) {
	for _, literal := range []string{`true`, `false`, `null`} {
		r.accepts(response, literal+"-in-unknown-key", `{"x":`+literal+`}`)
		r.refuses(response, literal+"-upper-case", `{"x":`+strings.ToUpper(literal)+`}`)
		r.refuses(response, literal+"-capitalised", `{"x":`+strings.ToUpper(literal[:1])+literal[1:]+`}`)
		r.refuses(response, literal+"-cut-short", `{"x":`+literal[:3]+`}`)
		r.refuses(response, literal+"-with-a-letter-more", `{"x":`+literal+`l}`)
		r.refuses(response, literal+"-repeated", `{"x":`+literal+literal+`}`)
		r.refuses(response, literal+"-split-by-blank", `{"x":`+literal[:2]+` `+literal[2:]+`}`)
	}
	r.refuses(batches, "nul-at-top", `nul`)
	r.refuses(batches, "nulll-at-top", `nulll`)
	r.refuses(batches, "NULL-at-top", `NULL`)
	r.refuses(response, "undefined", `{"x":undefined}`)
}

// numberSyntax: JSON's grammar holds for numbers, also where nobody reads them.
func numberSyntax(r *rule) {
	for _, number := range []string{
		`0`, `-0`, `1`, `-1`, `10`, `1.5`, `-1.5`, `0.0`, `0.10`, `1e5`, `1E5`, `1e+5`, `1E+05`, `1e-5`, `0e0`, `-0.0e-0`, `1.25e10`,
		`1e999`, `-1e999`, `1e-999`, `123456789012345678901234567890`, `0.123456789012345678901234567890`, `9223372036854775808`,
	} {
		r.accepts(response, "unknown-key-"+number, `{"x":`+number+`}`)
	}
	for _, number := range []string{
		`01`, `-01`, `00`, `-00`, `1.`, `.5`, `-.5`, `-`, `--1`, `+1`, `1e`, `1e+`, `1e-`, `1.e1`, `1.5.5`, `1e5e5`, `1e1.5`, `1e+-5`, `0x10`, `0b1`,
		`0o7`, `1_000`, `1,5`, `1 000`, `1f`, `1n`, `NaN`, `-NaN`, `Infinity`, `-Infinity`, `inf`, "\u0661", "\uff11", "1\u0661",
	} {
		r.refuses(response, "unknown-key-"+strings.ReplaceAll(number, " ", "_blank_"), `{"x":`+number+`}`)
	}
	r.accepts(response, "unknown-key-1000-digits", `{"x":`+strings.Repeat("9", 1000)+`}`)
	r.accepts(response, "unknown-key-1000-decimals", `{"x":0.`+strings.Repeat("9", 1000)+`}`)
	r.accepts(response, "unknown-key-1000-digit-exponent", `{"x":1e`+strings.Repeat("9", 1000)+`}`)
	r.accepts(batches, "unknown-key-in-batch", `[{"x":-1.5E+10}]`)
	r.accepts(batches, "in-list-of-unknown-key", `[{"x":[0,-0,1.5,1e5]}]`)
	r.refuses(batches, "leading-zero-in-list-of-unknown-key", `[{"x":[0,01]}]`)
}

// trailingData: one value, then nothing but blanks.
func trailingData(r *rule) {
	for _, tail := range []struct{ name, text string }{
		{"comma", `,`}, {"bracket", `]`}, {"brace", `}`}, {"colon", `:`}, {"quote", `"`}, {"letter", `x`}, {"digit", `0`}, {"nul", "\x00"},
		{"byte-order-mark", "\ufeff"}, {"broken-utf8", "\xff"}, {"same-again", `null`}, {"same-after-blank", ` null`},
		{"same-after-newline", "\nnull"}, {"empty-list", `[]`}, {"empty-object", `{}`}, {"comment", ` // end`},
	} {
		r.refuses(batches, "metric-batches-then-"+tail.name, `[]`+tail.text)
		r.refuses(response, "response-then-"+tail.name, `{}`+tail.text)
		r.refuses(users, "user-status-response-null-then-"+tail.name, `null`+tail.text)
	}
}

// truncation: a document cut after any of its tokens, and inside some of them.
func truncation(r *rule) {
	for _, document := range []struct {
		position position
		tokens   []string
	}{
		{positions[0], []string{
			`[`, `{`, `"uuid"`, `:`, `"u"`, `,`, `"created"`, `:`, `"2016-02-03T04:05:06Z"`, `,`, `"metrics"`, `:`, `[`, `{`, `"key"`, `:`, `"k"`, `,`,
			`"labels"`, `:`, `{`, `"a"`, `:`, `"b"`, `}`, `}`, `]`, `,`, `"credentials"`, `:`, `"QUJD"`, `,`, `"sla-credentials"`, `:`, `null`, `}`, `]`,
		}},
		{position{name: "response", t: response}, []string{
			`{`, `"uuid"`, `:`, `"r"`, `,`, `"env-responses"`, `:`, `{`, `"m"`, `:`, `{`, `"acks"`, `:`, `[`, `"a"`, `,`, `"b"`, `]`, `,`, `"model-status"`, `:`,
			`{`, `"status"`, `:`, `"RED"`, `}`, `}`, `}`, `,`, `"new-grace-period"`, `:`, `-10`, `,`, `"x"`, `:`, `[`, `1.5e3`, `,`, `true`, `]`, `}`,
		}},
		{position{name: "user-status-response", t: users}, []string{
			`{`, `"user-responses"`, `:`, `{`, `"bob"`, `:`, `{`, `"status"`, `:`, `{`, `"info"`, `:`, `"\u00e9"`, `}`, `,`, `"acks"`, `:`, `[`, `"a"`, `]`, `}`, `}`, `}`,
		}},
	} {
		whole := ""
		for i, token := range document.tokens {
			if len(token) > 1 {
				cut := (len(token) + 1) / 2
				r.refuses(document.position.t, fmt.Sprintf("%s-in-token-%02d", document.position.name, i+1), whole+token[:cut])
			}
			whole += token
			if i+1 < len(document.tokens) {
				r.refuses(document.position.t, fmt.Sprintf("%s-after-token-%02d", document.position.name, i+1), whole)
			}
		}
		r.accepts(document.position.t, document.position.name+"-not-at-all", whole)
	}
	r.refuses(response, "in-escape", `{"uuid":"\`)
	r.refuses(response, "in-unicode-escape", `{"uuid":"\u00`)
	r.refuses(response, "after-escaped-quote", `{"uuid":"\"`)
	r.refuses(response, "in-utf8-sequence", "{\"uuid\":\"\xe2\x82")
}

// nesting: 10,000 levels are read, one more is refused, wherever it happens.
func nesting(r *rule) {
	const levels = 10_000
	for _, one := range []struct {
		name  string
		total int
		legal bool
	}{
		{"9999", levels - 1, true}, {"10000", levels, true}, {"10001", levels + 1, false},
	} {
		add := (*rule).refuses
		if one.legal {
			add = (*rule).accepts
		}
		// A list of batches and the batch are two levels; a response is one.
		add(r, batches, one.name+"-levels-in-metric-batches", inBatch("x", nestedLists(one.total-2)))
		add(r, response, one.name+"-levels-in-response", `{"x":`+nestedLists(one.total-1)+`}`)
		add(r, response, one.name+"-levels-of-objects-in-response",
			`{"x":`+strings.Repeat(`{"":`, one.total-1)+"1"+strings.Repeat("}", one.total-1)+`}`)
	}
	r.accepts(users, "10000-levels-twice-side-by-side", `{"x":`+nestedLists(levels-1)+`,"y":`+nestedLists(levels-1)+`}`)
	r.refuses(batches, "10001-levels-never-closed", strings.Repeat("[", levels+1))
	r.refuses(batches, "10000-levels-never-closed", strings.Repeat("[", levels))
	r.refuses(batches, "10000-levels-of-lists-for-batches", nestedLists(levels))
	r.accepts(response, "500-levels-of-both-kinds", `{"x":`+strings.Repeat(`[{"x":`, 250)+`[]`+strings.Repeat(`}]`, 250)+`}`)
}

func nestedLists(levels int) string {
	return strings.Repeat("[", levels) + strings.Repeat("]", levels)
}
