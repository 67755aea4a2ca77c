package vectors

import "fmt"

// inText puts JSON text between quotes, everywhere that a string can stand.
func inText(text string) string {
	return `[{"uuid":"` + text + `","metrics":[{"key":"` + text + `","labels":{"` + text + `":"` + text + `"}}]}]`
}

// stringEscapes: JSON's escapes and no others.
func stringEscapes(r *rule) {
	for _, one := range []struct{ name, text string }{
		{"quote", `\"`}, {"backslash", `\\`}, {"slash", `\/`}, {"backspace", `\b`}, {"form-feed", `\f`}, {"newline", `\n`}, {"carriage-return", `\r`}, {"tab", `\t`},
		{"all", `a\"b\\c\/d\be\ff\ng\rh\ti`}, {"unicode-ascii", `\u0041`}, {"unicode-nul", `\u0000`}, {"unicode-escape-character", `\u001b`}, {"unicode-delete", `\u007f`}, {"unicode-quote", `\u0022`},
		{"unicode-backslash", `\u005c`}, {"unicode-slash", `\u002f`}, {"unicode-newline", `\u000a`}, {"unicode-backspace", `\u0008`}, {"unicode-form-feed", `\u000C`}, {"unicode-c1-control", `\u0085`},
		{"unicode-latin", `\u00e9`}, {"unicode-upper-case-hex", `\u00E9\uABCD`}, {"unicode-mixed-case-hex", `\uaBcD`}, {"unicode-han", `\u65e5\u672c`}, {"unicode-replacement-character", `\ufffd`}, {"unicode-noncharacter", `\uffff\ufffe\ufdd0`},
		{"unicode-byte-order-mark", `\ufeff`}, {"unicode-then-digits", `\u00410041`}, {"backslash-then-u", `\\u0041`}, {"backslash-then-n", `\\n`}, {"four-backslashes", `\\\\`},
	} {
		r.accepts(batches, one.name, inText(one.text))
	}
	for _, one := range []struct{ name, text string }{
		{"single-quote", `\'`}, {"vertical-tab", `\v`}, {"alert", `\a`}, {"escape", `\e`}, {"nul", `\0`}, {"octal", `\101`}, {"hex", `\x41`}, {"upper-case-u", `\U00000041`}, {"upper-case-n", `\N`}, {"blank", `\ `}, {"raw-newline", "\\\n"},
		{"unicode-3-digits", `\u004`}, {"unicode-no-digits", `\u`}, {"unicode-non-hex", `\u004g`}, {"unicode-braces", `\u{41}`}, {"unicode-plus", `\u+041`}, {"unicode-blank", `\u 041`}, {"unicode-0x", `\u0x41`}, {"non-ascii", `\é`}, {"broken-utf8", "\\\xff"}, {"high-byte-in-unicode", "\\u00\xc3\xa9"},
	} {
		r.refuses(batches, one.name, inText(one.text))
	}
}

// surrogates: a pair is one character; half of one is U+FFFD and what follows stands.
func surrogates(r *rule) {
	for _, one := range []struct{ name, text string }{
		{"pair", `\ud83d\ude00`}, {"pair-upper-case", `\uD83D\uDE00`}, {"first-pair", `\ud800\udc00`}, {"last-pair", `\udbff\udfff`}, {"two-pairs", `\ud83d\ude00\ud83d\ude01`}, {"pair-between-letters", `a\ud83d\ude00b`},
		{"lone-high", `\ud800`}, {"lone-high-last", `\udbff`}, {"lone-low", `\udc00`}, {"lone-low-last", `\udfff`}, {"low-then-high", `\udc00\ud800`}, {"two-highs", `\ud800\ud800`}, {"two-lows", `\udc00\udc00`},
		{"high-then-letter", `\ud800x`}, {"high-then-escape", `\ud800\n`}, {"high-then-quote", `\ud800\"`}, {"high-then-backslash", `\ud800\\`}, {"high-then-unicode-letter", `\ud800\u0041`}, {"high-then-backslash-u", `\ud800\\udc00`},
		{"high-then-pair", `\ud800\ud83d\ude00`}, {"pair-then-low", `\ud83d\ude00\ude00`}, {"low-then-pair", `\udc00\ud83d\ude00`}, {"high-then-raw-character", `\ud83d😀`}, {"high-then-blank-then-low", `\ud83d \ude00`}, {"letter-then-low", `x\ude00`}, {"at-both-ends", `\ud800mid\udfff`},
		{"three-highs-then-low", `\ud800\ud801\ud802\udc00`}, {"high-then-broken-utf8", "\\ud800\xff"}, {"before-surrogates", `\ud7ff`}, {"after-surrogates", `\ue000`}, {"high-then-u", `\ud800u00`},
	} {
		r.accepts(batches, one.name, inText(one.text))
	}
	r.refuses(batches, "high-then-cut-escape", inText(`\ud800\u00`))
	r.refuses(batches, "high-then-bad-escape", inText(`\ud800\x`))
	r.refuses(batches, "high-then-non-hex", inText(`\ud800\udc0g`))
	r.accepts(response, "in-response", `{"uuid":"\ud800","env-responses":{"\udc00":{"acks":["\ud83d\ude00"],"model-status":{"info":"\ud83d"}}}}`)
}

// brokenUTF8: each byte that is not part of a well-formed character becomes U+FFFD.
func brokenUTF8(r *rule) {
	for _, one := range []struct{ name, text string }{
		{"raw-two-bytes", "é"}, {"raw-three-bytes", "日"}, {"raw-four-bytes", "😀"}, {"raw-last-character", "\U0010ffff"}, {"raw-noncharacters", "\ufffe\uffff\ufdd0\U0001ffff"}, {"raw-replacement-character", "\ufffd"}, {"raw-byte-order-mark", "\ufeff"}, {"raw-c1-control", "\u0080\u0085\u009f"},
		{"lone-continuation", "\x80"}, {"lone-continuation-last", "\xbf"}, {"two-continuations", "\x80\xbf"}, {"fe", "\xfe"}, {"ff", "\xff"}, {"fe-ff", "\xfe\xff"}, {"f8-five-byte", "\xf8\x88\x80\x80\x80"}, {"fc-six-byte", "\xfc\x84\x80\x80\x80\x80"},
		{"two-byte-cut", "\xc3"}, {"two-byte-then-letter", "\xc3a"}, {"three-byte-cut-after-one", "\xe2"}, {"three-byte-cut-after-two", "\xe2\x82"}, {"three-byte-cut-then-letter", "\xe2\x82a"}, {"four-byte-cut-after-one", "\xf0"}, {"four-byte-cut-after-two", "\xf0\x9f"}, {"four-byte-cut-after-three", "\xf0\x9f\x98"}, {"four-byte-cut-then-letter", "\xf0\x9f\x98a"},
		{"overlong-nul", "\xc0\x80"}, {"overlong-slash", "\xc0\xaf"}, {"overlong-c1", "\xc1\xbf"}, {"overlong-three", "\xe0\x80\xaf"}, {"overlong-three-last", "\xe0\x9f\xbf"}, {"overlong-four", "\xf0\x80\x80\xaf"}, {"overlong-four-last", "\xf0\x8f\xbf\xbf"},
		{"surrogate-high", "\xed\xa0\x80"}, {"surrogate-high-last", "\xed\xaf\xbf"}, {"surrogate-low", "\xed\xb0\x80"}, {"surrogate-low-last", "\xed\xbf\xbf"}, {"surrogate-pair", "\xed\xa0\xbd\xed\xb8\x80"}, {"beyond-unicode", "\xf4\x90\x80\x80"}, {"far-beyond-unicode", "\xf7\xbf\xbf\xbf"}, {"f5", "\xf5\x80\x80\x80"},
		{"bad-then-good", "\xffé"}, {"good-then-bad", "é\xff"}, {"bad-between-good", "a\xffb"}, {"cut-then-good", "\xe2\x82é"}, {"lead-then-lead", "\xe2\xe2\x82\xac"}, {"latin1-text", "caf\xe9"}, {"bad-before-escape", "\xff\\n"}, {"bad-after-escape", "\\u00e9\xff"}, {"many-bad-bytes", "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\xf5\xf4\xf3\xf2\xf1\xf0"},
		{"first-of-three", "\u0800"}, {"last-before-surrogates", "\ud7ff"}, {"first-after-surrogates", "\ue000"}, {"first-of-four", "\U00010000"},
	} {
		r.accepts(batches, one.name, inText(one.text))
	}
	r.accepts(batches, "in-field-name-makes-it-unknown", "[{\"uu\xffid\":1,\"uuid\xc3\":2}]")
	r.accepts(response, "in-response", "{\"uuid\":\"\xff\",\"env-responses\":{\"\xfe\":{\"acks\":[\"\xc0\x80\"],\"model-status\":{\"status\":\"\xed\xa0\x80\"}}}}")
	r.accepts(users, "in-user-status-response", "{\"user-responses\":{\"\xffbob\":{\"status\":{\"info\":\"\xe2\x82\"}}}}")
	r.refuses(batches, "lead-byte-swallows-no-quote", "[{\"uuid\":\"\xe2\"\"}]")
	r.refuses(batches, "outside-strings", "[\xff]")
}

// controlCharacters: below U+0020 nothing may stand raw in a string; U+007F may.
func controlCharacters(r *rule) {
	for c := range 0x20 {
		r.refuses(batches, fmt.Sprintf("raw-%02x-in-value", c), fmt.Sprintf(`[{"uuid":"a%cb"}]`, c))
		r.accepts(batches, fmt.Sprintf("escaped-%02x", c), inText(fmt.Sprintf(`a\u%04xb`, c)))
	}
	r.refuses(batches, "raw-newline-in-key", "[{\"uuid\n\":1}]")
	r.refuses(batches, "raw-tab-in-label-name", "[{\"metrics\":[{\"labels\":{\"a\tb\":\"c\"}}]}]")
	r.refuses(batches, "raw-nul-in-label-value", "[{\"metrics\":[{\"labels\":{\"a\":\"\x00\"}}]}]")
	r.accepts(batches, "raw-delete", inText("a\x7fb"))
}

// htmlCharacters: what a browser could take for markup is written escaped.
func htmlCharacters(r *rule) {
	for _, one := range []struct{ name, text string }{
		{"less", `<`}, {"greater", `>`}, {"ampersand", `&`}, {"script", `</script><script>alert(1)</script>`}, {"escaped-less", `\u003c`}, {"escaped-upper-case", `\u003C\u003E`}, {"entity", `&amp;&lt;`}, {"line-separator", "\u2028"}, {"paragraph-separator", "\u2029"},
		{"escaped-line-separator", `\u2028`}, {"neighbours-of-separators", "\u2027\u202a"}, {"single-quote", `'`}, {"equals", `=`}, {"plus", `+`}, {"comment", `<!-- -->`}, {"cdata", `<![CDATA[x]]>`}, {"all-printable-ascii", printableASCII},
	} {
		r.accepts(batches, one.name, inText(one.text))
	}
	r.accepts(response, "in-response", `{"uuid":"<r>","env-responses":{"<m>":{"acks":["a&b"],"model-status":{"status":"<","info":">"},"unit-statuses":{"&":{"info":"<i>"}}}}}`)
	r.accepts(users, "in-user-status-response", `{"user-responses":{"<bob>":{"status":{"info":"used > limit & more"},"acks":["<"]}}}`)
}

// printableASCII is all of it, quote and backslash escaped.
const printableASCII = ` !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_` + "`" + `abcdefghijklmnopqrstuvwxyz{|}~`

// realDocuments: what the known senders and collectors put on the wire.
func realDocuments(r *rule) {
	r.accepts(batches, "controller", `[{"uuid":"11111111-1111-4111-8111-111111111111","env-uuid":"deadbeef-0bad-400d-8000-4b1d0d06f00d","model-name":"controller","unit-name":"cred/0","charm-url":"ch:quantal/metered-1","created":"2018-03-22T10:15:30.123Z","metrics":[{"key":"pings","value":"5","time":"2018-03-22T10:15:28Z","labels":{"foo":"bar"}}],"credentials":"W3siY2F2ZWF0cyI6W10sImxvY2F0aW9uIjoib21uaWJ1cyIsImlkZW50aWZpZXIiOiJpZDEiLCJzaWduYXR1cmUiOiJmMDBkIn1d","reseller-credentials":null,"sla-credentials":null},{"uuid":"22222222-2222-4222-8222-222222222222","env-uuid":"deadbeef-0bad-400d-8000-4b1d0d06f00d","model-name":"controller","unit-name":"metered/0","charm-url":"ch:quantal/metered-1","created":"2018-03-22T10:15:30.123Z","metrics":[{"key":"juju-units","value":"1","time":"2018-03-22T10:15:28Z"}],"credentials":"","reseller-credentials":null,"sla-credentials":null}]`)
	r.accepts(batches, "controller-model-batch", `[{"uuid":"33333333-3333-4333-8333-333333333333","env-uuid":"deadbeef-0bad-400d-8000-4b1d0d06f00d","model-name":"prod","unit-name":"","charm-url":"","created":"2018-03-22T10:15:30.123Z","metrics":[{"key":"juju-machines","value":"3","time":"2018-03-22T10:15:30.123Z"},{"key":"juju-ubuntu-machines","value":"3","time":"2018-03-22T10:15:30.123Z"}],"credentials":"","reseller-credentials":null,"sla-credentials":"W3t9XQ=="}]`)
	r.accepts(batches, "jem", `[{"uuid":"5","env-uuid":"deadbeef-0bad-400d-8000-4b1d0d06f00d","unit-name":"jimm/0","charm-url":"cs:~canonical/jimm-0","created":"2018-03-22T10:15:30.123456789Z","metrics":[{"key":"juju-model-units","value":"17","time":"2018-03-22T10:15:30.123456789Z"}],"credentials":"e30=","reseller-credentials":null,"sla-credentials":null,"model-name":"bob/model-1"}]`)
	r.accepts(batches, "jimm-v4", `[{"uuid":"5","created":"2018-03-22T10:15:30.123456789Z","metrics":[{"key":"juju-model-units","value":"17","time":"2018-03-22T10:15:30.123456789Z","tags":{"model":"deadbeef-0bad-400d-8000-4b1d0d06f00d","model-name":"bob/model-1"}}],"credentials":"c2VjcmV0"}]`)
	r.accepts(response, "collector", `{"uuid":"44444444-4444-4444-8444-444444444444","env-responses":{"deadbeef-0bad-400d-8000-4b1d0d06f00d":{"acks":["11111111-1111-4111-8111-111111111111","22222222-2222-4222-8222-222222222222"],"model-status":{"status":"GREEN","info":"good"},"unit-statuses":{"cred/0":{"status":"GREEN","info":""}}}},"new-grace-period":169200000000000}`+"\n")
	r.accepts(response, "for-jimm-v4", `{"user-status":{"bob":{"status-code":"GREEN","status-info":""}}}`)
	r.accepts(users, "collector-for-jem", `{"uuid":"r","user-responses":{"bob":{"status":{"status":"","info":""},"acks":["5"]}}}`+"\n")
	r.accepts(users, "nothing-acknowledged", `{"uuid":"","user-responses":null}`)
}
