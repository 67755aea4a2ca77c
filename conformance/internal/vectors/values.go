package vectors

import "strings"

// base64Text: bytes are standard base64 with padding; line ends are skipped,
// the bits that padding leaves over are not looked at.
func base64Text(r *rule) {
	for _, one := range []struct{ name, value string }{
		{"one-byte", `"QQ=="`}, {"two-bytes", `"QUI="`}, {"three-bytes", `"QUJD"`}, {"four-bytes", `"QUJDRA=="`},
		{"all-alphabet", `"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"`},
		{"escaped-slash", `"\/\/\/\/"`}, {"escaped-letters", `"\u0051\u0055JD"`}, {"escaped-padding", `"QQ\u003d\u003d"`},
		{"newline-inside", `"QU\nJD"`}, {"carriage-return-inside", `"QU\rJD"`}, {"line-ends-everywhere", `"\r\nQ\nU\rJ\r\nD\n"`},
		{"newline-between-paddings", `"QQ=\n="`}, {"newline-before-padding", `"QQ\n=="`}, {"newlines-after-padding", `"QQ==\r\n\n"`},
		{"escaped-as-unicode-newline", `"QU\u000aJD\u000D"`}, {"only-newlines", `"\n\r\n"`}, {"line-of-76", `"` + strings.Repeat("QUJD", 19) + `\r\n` + strings.Repeat("REVG", 19) + `\r\n"`},
		{"nonzero-bits-after-one-byte", `"QR=="`}, {"all-bits-after-one-byte", `"Q/=="`}, {"nonzero-bits-after-two-bytes", `"QUJ="`}, {"all-bits-after-two-bytes", `"QUL="`},
		{"long", `"` + strings.Repeat("QUJDREVGR0g", 40) + `"`}, {"zero-bytes", `"AAAA"`}, {"high-bytes", `"////"`}, {"macaroon", `"eyJjYXZlYXRzIjpbXSwibG9jYXRpb24iOiJvbW5pYnVzIiwiaWRlbnRpZmllciI6ImlkMSIsInNpZ25hdHVyZSI6ImYwMGQifQo="`},
	} {
		r.accepts(batches, one.name, inBatch("credentials", one.value))
	}
	for _, one := range []struct{ name, value string }{
		{"padding-missing-after-one-byte", `"QQ"`}, {"padding-half-missing", `"QQ="`}, {"padding-missing-after-two-bytes", `"QUI"`}, {"padding-too-long", `"QQ==="`},
		{"padding-after-three-bytes", `"QUJD="`}, {"padding-after-four-letters-twice", `"QUJD=="`}, {"only-padding", `"="`}, {"only-two-paddings", `"=="`}, {"only-four-paddings", `"===="`},
		{"one-letter", `"Q"`}, {"one-letter-padded", `"Q==="`}, {"one-letter-one-padding", `"Q="`}, {"five-letters", `"QUJDR"`}, {"padding-in-the-middle", `"QQ==QQ=="`}, {"padding-inside-quantum", `"Q=Q="`},
		{"data-after-padding-newline", `"QQ==\nQQ=="`}, {"letter-between-paddings", `"QQ=A="`}, {"url-safe-minus", `"-AAA"`}, {"url-safe-underscore", `"_AAA"`}, {"url-safe-at-end", `"QUJDRE-_"`},
		{"blank-inside", `"QU JD"`}, {"blank-at-end", `"QUJD "`}, {"tab-inside", `"QU\tJD"`}, {"form-feed-inside", `"QU\fJD"`}, {"star", `"*"`}, {"non-ascii", `"QUJé"`}, {"nul", `"QUJ\u0000"`},
		{"broken-utf8", "\"QUJ\xff\""}, {"lone-surrogate", `"QUJ\ud800"`}, {"full-width", `"ＱＵＪＤ"`}, {"raw-newline", "\"QU\nJD\""}, {"raw-carriage-return", "\"QU\rJD\""},
		{"macaroon-not-encoded", `"{\"caveats\":[]}"`}, {"bad-in-long", `"` + strings.Repeat("QUJD", 20) + `QU-D` + strings.Repeat("QUJD", 20) + `"`},
	} {
		r.refuses(batches, one.name, inBatch("credentials", one.value))
	}
	r.accepts(batches, "all-three-fields", `[{"credentials":"YQ==","reseller-credentials":"Yg==","sla-credentials":"Yw=="}]`)
	r.refuses(batches, "bad-reseller-credentials", inBatch("reseller-credentials", `"Y"`))
	r.refuses(batches, "bad-sla-credentials", inBatch("sla-credentials", `"Y"`))
}

// byteArrays: bytes may also be a list of numbers from 0 to 255.
func byteArrays(r *rule) {
	for _, one := range []struct{ name, value string }{
		{"one", `[65]`}, {"three", `[65,66,67]`}, {"zero", `[0]`}, {"largest", `[255]`}, {"null-is-zero", `[null]`}, {"nulls-between", `[1,null,3,null]`}, {"blanks", ` [ 65 , 66 ] `},
		{"json-text", `[123,34,99,34,58,91,93,125]`},
	} {
		r.accepts(batches, one.name, inBatch("credentials", one.value))
	}
	for _, one := range []struct{ name, value string }{
		{"256", `[256]`}, {"minus-one", `[-1]`}, {"minus-zero", `[-0]`}, {"fraction", `[1.5]`}, {"whole-fraction", `[1.0]`}, {"exponent", `[1e0]`}, {"beyond-64-bits", `[18446744073709551616]`},
		{"string", `["A"]`}, {"base64-string", `["QUJD"]`}, {"number-as-string", `["65"]`}, {"bool", `[true]`}, {"list", `[[65]]`}, {"empty-list", `[[]]`}, {"object", `[{}]`},
		{"bad-after-good", `[65,66,256]`}, {"good-after-bad", `[256,65]`}, {"leading-zero", `[065]`}, {"plus", `[+65]`}, {"hex", `[0x41]`}, {"trailing-comma", `[65,]`},
	} {
		r.refuses(batches, one.name, inBatch("credentials", one.value))
	}
	r.accepts(batches, "other-fields", `[{"reseller-credentials":[1],"sla-credentials":[null,2]}]`)
	r.refuses(batches, "of-time", inBatch("created", `[50]`))
	r.refuses(batches, "of-string", inBatch("uuid", `[65]`))
}

// gracePeriods: nanoseconds as a whole number of 64 bits, in plain digits.
func gracePeriods(r *rule) {
	for _, number := range []string{
		`0`, `-0`, `1`, `-1`, `1000000000`, `604800000000000`, `-604800000000000`, `9223372036854775807`, `-9223372036854775808`, `null`, ` 5 `,
	} {
		r.accepts(response, strings.TrimSpace(number), `{"new-grace-period":`+number+`}`)
	}
	for _, number := range []string{
		`9223372036854775808`, `-9223372036854775809`, `18446744073709551616`, `1.0`, `1.5`, `-0.0`, `0.0`, `1e0`, `1e9`, `1E9`, `0e0`, `1e400`, `100000000000000000000000000000`,
		`00`, `01`, `-01`, `+1`, `1_000`, `0x10`, `-`, `1.`, `NaN`, `""`, `"1"`, `"24h"`, `"0"`, `true`, `[]`, `[1]`, `{}`,
	} {
		r.refuses(response, number, `{"new-grace-period":`+number+`}`)
	}
}
