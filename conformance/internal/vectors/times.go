package vectors

import "strings"

// times: RFC 3339 as Go reads it, which is wider in some places, on the bytes
// between the quotes before any escape is undone.
func times(r *rule) {
	in := func(text string) string { return inBatch("created", `"`+text+`"`) }
	for _, one := range []struct{ name, text string }{
		{"utc", "2016-02-03T04:05:06Z"}, {"zero", "0001-01-01T00:00:00Z"}, {"unix-epoch", "1970-01-01T00:00:00Z"}, {"before-epoch", "1969-12-31T23:59:59.999999999Z"},
		{"end-of-9999", "9999-12-31T23:59:59.999999999Z"}, {"year-0000", "0000-01-01T00:00:00Z"}, {"year-0000-leap-day", "0000-02-29T00:00:00Z"}, {"year-0100", "0100-03-01T00:00:00Z"},
		{"year-9999-offset-beyond", "9999-12-31T23:59:59-23:59"}, {"year-0000-offset-before", "0000-01-01T00:00:00+23:59"},
		{"leap-day-2016", "2016-02-29T00:00:00Z"}, {"leap-day-2000", "2000-02-29T00:00:00Z"}, {"last-days", "2016-04-30T23:59:59Z"}, {"december-31", "2016-12-31T23:59:59Z"},
		{"milliseconds", "2016-02-03T04:05:06.789Z"}, {"nanoseconds", "2016-02-03T04:05:06.123456789Z"}, {"one-nanosecond", "2016-02-03T04:05:06.000000001Z"},
		{"zeros-are-cut", "2016-02-03T04:05:06.120000000Z"}, {"only-zeros-are-cut", "2016-02-03T04:05:06.000Z"}, {"one-digit-fraction", "2016-02-03T04:05:06.5Z"}, {"single-zero-fraction", "2016-02-03T04:05:06.0Z"},
		{"ten-digits-are-cut", "2016-02-03T04:05:06.1234567899Z"}, {"thirty-digits-are-cut", "2016-02-03T04:05:06.123456789012345678901234567890Z"}, {"below-a-nanosecond", "2016-02-03T04:05:06.0000000009Z"},
		{"nines-are-not-rounded", "2016-02-03T04:05:06.9999999999Z"}, {"comma-fraction", "2016-02-03T04:05:06,789Z"}, {"comma-ten-digits", "2016-02-03T04:05:06,1234567899+01:00"},
		{"offset-east", "2016-02-03T04:05:06+01:00"}, {"offset-west", "2016-02-03T04:05:06-08:00"}, {"offset-half-hour", "2016-02-03T04:05:06+05:30"}, {"offset-west-half-hour", "2016-02-03T04:05:06-03:30"},
		{"offset-one-minute", "2016-02-03T04:05:06+00:01"}, {"offset-west-one-minute", "2016-02-03T04:05:06-00:01"}, {"offset-plus-zero-is-z", "2016-02-03T04:05:06+00:00"}, {"offset-minus-zero-is-z", "2016-02-03T04:05:06-00:00"},
		{"offset-23-59", "2016-02-03T04:05:06+23:59"}, {"offset-west-23-59", "2016-02-03T04:05:06-23:59"}, {"offset-with-fraction", "2016-02-03T04:05:06.120+01:00"},
		{"offset-60-minutes", "2016-02-03T04:05:06+00:60"}, {"offset-01-60", "2016-02-03T04:05:06+01:60"}, {"offset-22-60", "2016-02-03T04:05:06+22:60"}, {"offset-west-00-60", "2016-02-03T04:05:06-00:60"},
		{"one-digit-hour", "2016-02-03T4:05:06Z"}, {"one-digit-hour-zero", "2016-02-03T0:05:06Z"}, {"one-digit-hour-with-offset", "2016-02-03T4:05:06+01:00"}, {"one-digit-hour-with-fraction", "2016-02-03T4:05:06.5Z"},
		{"one-digit-hour-comma-offset-60", "2016-02-03T4:05:06,5-00:60"}, {"midnight", "2016-02-03T00:00:00Z"}, {"before-gregorian", "1582-10-10T00:00:00Z"},
	} {
		r.accepts(batches, one.name, in(one.text))
	}
	for _, one := range []struct{ name, text string }{
		{"offset-24-00", "2016-02-03T04:05:06+24:00"}, {"offset-24-60", "2016-02-03T04:05:06+24:60"}, {"offset-west-24-00", "2016-02-03T04:05:06-24:00"}, {"offset-23-60", "2016-02-03T04:05:06+23:60"},
		{"offset-west-23-60", "2016-02-03T04:05:06-23:60"}, {"offset-24-01", "2016-02-03T04:05:06+24:01"}, {"one-digit-hour-offset-24", "2016-02-03T4:05:06+24:00"},
	} {
		r.cannotWrite(batches, one.name, in(one.text))
	}
	for _, one := range []struct{ name, text string }{
		{"empty", ""}, {"blank", " "}, {"word", "yesterday"}, {"null-word", "null"}, {"unix-seconds", "1454472306"}, {"date-only", "2016-02-03"}, {"time-only", "04:05:06Z"},
		{"no-zone", "2016-02-03T04:05:06"}, {"no-zone-with-fraction", "2016-02-03T04:05:06.5"}, {"no-zone-one-digit-hour", "2016-02-03T4:05:06"}, {"no-seconds", "2016-02-03T04:05Z"}, {"18-bytes", "2016-02-03T04:05:0"},
		{"lower-case-t", "2016-02-03t04:05:06Z"}, {"lower-case-z", "2016-02-03T04:05:06z"}, {"blank-for-t", "2016-02-03 04:05:06Z"}, {"underscore-for-t", "2016-02-03_04:05:06Z"}, {"nothing-for-t", "2016-02-0304:05:06Z"},
		{"leading-blank", " 2016-02-03T04:05:06Z"}, {"trailing-blank", "2016-02-03T04:05:06Z "}, {"blank-before-zone", "2016-02-03T04:05:06 Z"}, {"blank-before-offset", "2016-02-03T04:05:06 +01:00"}, {"text-after", "2016-02-03T04:05:06Zulu"},
		{"zone-twice", "2016-02-03T04:05:06ZZ"}, {"zone-and-offset", "2016-02-03T04:05:06Z+01:00"}, {"zone-name", "2016-02-03T04:05:06UTC"}, {"zone-id", "2016-02-03T04:05:06+01:00[Europe/Paris]"},
		{"hour-24", "2016-02-03T24:00:00Z"}, {"hour-25", "2016-02-03T25:00:00Z"}, {"minute-60", "2016-02-03T04:60:06Z"}, {"second-60", "2016-12-31T23:59:60Z"}, {"second-61", "2016-12-31T23:59:61Z"},
		{"month-00", "2016-00-03T04:05:06Z"}, {"month-13", "2016-13-03T04:05:06Z"}, {"day-00", "2016-02-00T04:05:06Z"}, {"day-32", "2016-01-32T04:05:06Z"}, {"day-31-in-april", "2016-04-31T04:05:06Z"},
		{"leap-day-2015", "2015-02-29T00:00:00Z"}, {"leap-day-1900", "1900-02-29T00:00:00Z"}, {"leap-day-2100", "2100-02-29T00:00:00Z"}, {"february-30", "2016-02-30T00:00:00Z"},
		{"one-digit-month", "2016-2-03T04:05:06Z"}, {"one-digit-day", "2016-02-3T04:05:06Z"}, {"one-digit-minute", "2016-02-03T04:5:06Z"}, {"one-digit-second", "2016-02-03T04:05:6Z"}, {"three-digit-hour", "2016-02-03T004:05:06Z"},
		{"no-hour", "2016-02-03T:05:06Z"}, {"letter-in-hour", "2016-02-03T0x:05:06Z"}, {"one-digit-hour-and-letter", "2016-02-03T4x:05:06Z"},
		{"five-digit-year", "10000-01-01T00:00:00Z"}, {"three-digit-year", "999-01-01T00:00:00Z"}, {"two-digit-year", "16-01-01T00:00:00Z"}, {"negative-year", "-001-01-01T00:00:00Z"}, {"plus-year", "+2016-02-03T04:05:06Z"}, {"sign-inside-year", "2+16-02-03T04:05:06Z"},
		{"slashes", "2016/02/03T04:05:06Z"}, {"dots", "2016-02-03T04.05.06Z"}, {"basic-format", "20160203T040506Z"}, {"week-date", "2016-W05-3T04:05:06Z"}, {"ordinal-date", "2016-034T04:05:06Z"},
		{"empty-fraction", "2016-02-03T04:05:06.Z"}, {"empty-comma-fraction", "2016-02-03T04:05:06,Z"}, {"empty-fraction-with-offset", "2016-02-03T04:05:06.+01:00"}, {"two-fractions", "2016-02-03T04:05:06.5.5Z"}, {"letter-in-fraction", "2016-02-03T04:05:06.5xZ"},
		{"exponent-fraction", "2016-02-03T04:05:06.5e1Z"}, {"semicolon-fraction", "2016-02-03T04:05:06;5Z"}, {"negative-second", "2016-02-03T04:05:-6Z"},
		{"offset-25", "2016-02-03T04:05:06+25:00"}, {"offset-61-minutes", "2016-02-03T04:05:06+01:61"}, {"offset-99", "2016-02-03T04:05:06+99:99"}, {"offset-without-colon", "2016-02-03T04:05:06+0100"}, {"offset-hour-only", "2016-02-03T04:05:06+01"},
		{"offset-one-digit-hour", "2016-02-03T04:05:06+1:00"}, {"offset-one-digit-minute", "2016-02-03T04:05:06+01:0"}, {"offset-with-seconds", "2016-02-03T04:05:06+01:00:00"}, {"offset-dot", "2016-02-03T04:05:06+01.00"}, {"offset-letters", "2016-02-03T04:05:06+ab:cd"},
		{"offset-without-sign", "2016-02-03T04:05:0601:00"}, {"offset-blank-sign", "2016-02-03T04:05:06 01:00"}, {"offset-letter-sign", "2016-02-03T04:05:06x01:00"}, {"offset-minus-sign-u2212", "2016-02-03T04:05:06\u221201:00"}, {"offset-two-signs", "2016-02-03T04:05:06+-1:00"},
		{"escaped-t", `2016-02-03\u005404:05:06Z`}, {"escaped-z", `2016-02-03T04:05:06\u005a`}, {"escaped-hyphen", `2016\u002d02-03T04:05:06Z`}, {"escaped-newline-at-end", `2016-02-03T04:05:06Z\n`}, {"escaped-slash", `2016-02-03T04:05:06\/`}, {"escaped-quote", `2016-02-03T04:05:06Z\"`},
		{"full-width-digit", "２016-02-03T04:05:06Z"}, {"arabic-digit", "\u0662016-02-03T04:05:06Z"}, {"broken-utf8", "2016-02-03T04:05:06Z\xff"}, {"broken-utf8-inside", "2016-02-03\xff04:05:06Z"}, {"nul-escape-at-end", `2016-02-03T04:05:06Z\u0000`},
		{"rfc1123", "Wed, 03 Feb 2016 04:05:06 GMT"}, {"unix-date", "Wed Feb  3 04:05:06 UTC 2016"}, {"am-pm", "2016-02-03T04:05:06PMZ"}, {"19-digits", "1234567890123456789"}, {"19-hyphens", strings.Repeat("-", 19)}, {"19-blanks", strings.Repeat(" ", 19)},
	} {
		r.refuses(batches, one.name, in(one.text))
	}
	r.accepts(batches, "of-metric", inMetric("time", `"2016-02-03T4:05:06,50+01:00"`))
	r.refuses(batches, "of-metric-bad", inMetric("time", `"2016-02-03T04:05:06"`))
	r.cannotWrite(batches, "of-metric-unwritable", inMetric("time", `"2016-02-03T04:05:06+24:00"`))
	r.refuses(batches, "number", inBatch("created", `1454472306`))
	r.refuses(batches, "fraction-number", inBatch("created", `1454472306.5`))
	r.refuses(batches, "true", inBatch("created", `true`))
	r.refuses(batches, "list", inBatch("created", `["2016-02-03T04:05:06Z"]`))
	r.refuses(batches, "object", inBatch("created", `{"$date":"2016-02-03T04:05:06Z"}`))
	r.accepts(batches, "same-instant-other-offsets", `[{"created":"2016-02-03T04:05:06Z"},{"created":"2016-02-03T05:05:06+01:00"},{"created":"2016-02-02T20:05:06-08:00"}]`)
}
