package vectors

// duplicateKeys: a key that comes again is decoded into what the first one left:
// the last wins for plain values, members are added to structs and maps, and the
// values of maps are replaced whole.
func duplicateKeys(r *rule) {
	for _, one := range []struct{ name, input string }{
		{"string", `[{"uuid":"first","uuid":"second"}]`},
		{"string-thrice", `[{"uuid":"first","uuid":"second","uuid":"third"}]`},
		{"string-then-null", `[{"uuid":"first","uuid":null}]`},
		{"string-then-empty", `[{"uuid":"first","uuid":""}]`},
		{"null-then-string", `[{"uuid":null,"uuid":"second"}]`},
		{"time", `[{"created":"2016-02-03T04:05:06Z","created":"2017-02-03T04:05:06Z"}]`},
		{"time-then-null", `[{"created":"2016-02-03T04:05:06.5+01:00","created":null}]`},
		{"time-loses-fraction-and-offset", `[{"created":"2016-02-03T04:05:06.5+01:00","created":"2016-02-03T04:05:06Z"}]`},
		{"bytes", `[{"credentials":"YWE=","credentials":"Yg=="}]`},
		{"bytes-then-null", `[{"credentials":"YQ==","credentials":null}]`},
		{"bytes-then-empty", `[{"credentials":"YQ==","credentials":""}]`},
		{"null-then-bytes", `[{"credentials":null,"credentials":"YQ=="}]`},
		{"different-case", `[{"env-uuid":"first","ENV-UUID":"second","Env-Uuid":"third"}]`},
		{"all-fields", wholeBatch[:len(wholeBatch)-2] + `,` + wholeBatch[2:]},
		{"unknown", `[{"x":1,"x":"two","x":[]}]`},
		{"labels-are-merged", inMetric("labels", `{"a":"1","b":"2"},"labels":{"b":"3","c":"4"}`)},
		{"labels-then-null", inMetric("labels", `{"a":"1"},"labels":null`)},
		{"labels-then-null-then-labels", inMetric("labels", `{"a":"1"},"labels":null,"labels":{"b":"2"}`)},
		{"labels-then-empty", inMetric("labels", `{"a":"1"},"labels":{}`)},
		{"label", inMetric("labels", `{"a":"1","a":"2"}`)},
		{"label-then-null-is-empty", inMetric("labels", `{"a":"1","a":null}`)},
		{"metric-key", inMetric("key", `"first","key":"second"`)},
	} {
		r.accepts(batches, "batch-"+one.name, one.input)
	}
	for _, one := range []struct{ name, input string }{
		{"uuid", `{"uuid":"first","uuid":"second"}`},
		{"grace-period", `{"new-grace-period":1,"new-grace-period":2}`},
		{"grace-period-then-null", `{"new-grace-period":1,"new-grace-period":null}`},
		{"models-are-merged", `{"env-responses":{"a":{"acks":["1"]}},"env-responses":{"b":{"acks":["2"]}}}`},
		{"models-then-null", `{"env-responses":{"a":{}},"env-responses":null}`},
		{"models-then-empty", `{"env-responses":{"a":{}},"env-responses":{}}`},
		{"model-is-replaced", `{"env-responses":{"a":{"acks":["1"],"model-status":{"info":"i"}},"a":{"unit-statuses":{"u":{}}}}}`},
		{"model-is-replaced-from-the-second-map", `{"env-responses":{"a":{"acks":["1"]},"b":{}},"env-responses":{"a":{"model-status":{"info":"i"}}}}`},
		{"model-then-null-is-empty", `{"env-responses":{"a":{"acks":["1"]},"a":null}}`},
		{"model-status-is-merged", inModel(`"model-status":{"status":"RED","info":"first"},"model-status":{"status":"GREEN"}`)},
		{"model-status-then-null", inModel(`"model-status":{"status":"RED"},"model-status":null`)},
		{"model-status-then-empty", inModel(`"model-status":{"status":"RED"},"model-status":{}`)},
		{"unit-statuses-are-merged", inModel(`"unit-statuses":{"a":{"status":"RED"},"b":{}},"unit-statuses":{"a":{"info":"i"},"c":{}}`)},
		{"unit-status-is-replaced", inModel(`"unit-statuses":{"a":{"status":"RED"},"a":{"info":"i"}}`)},
		{"unit-status-then-null-is-empty", inModel(`"unit-statuses":{"a":{"status":"RED"},"a":null}`)},
		{"status-in-unit-status", inModel(`"unit-statuses":{"a":{"status":"RED","status":"GREEN","info":"x","info":null}}`)},
		{"acks", inModel(`"acks":["a","b"],"acks":["c"]`)},
		{"model-after-other-model", `{"env-responses":{"a":{"acks":["1","2"]},"b":{"acks":[null]}}}`},
	} {
		r.accepts(response, "response-"+one.name, one.input)
	}
	for _, one := range []struct{ name, input string }{
		{"users-are-merged", `{"user-responses":{"a":{"acks":["1"]}},"user-responses":{"b":{"acks":["2"]}}}`},
		{"user-is-replaced", `{"user-responses":{"a":{"acks":["1"]},"a":{"status":{"status":"RED"}}}}`},
		{"status-is-merged", `{"user-responses":{"a":{"status":{"status":"RED"},"status":{"info":"i"}}}}`},
		{"users-then-null", `{"user-responses":{"a":{}},"user-responses":null}`},
	} {
		r.accepts(users, "user-status-response-"+one.name, one.input)
	}
}

// sliceReuse: a list that comes again is decoded into the elements of the first,
// and an element that was cut off comes back as it was when the list grows again.
func sliceReuse(r *rule) {
	metric := func(lists ...string) string {
		members := ""
		for i, one := range lists {
			if i > 0 {
				members += ","
			}
			members += `"metrics":` + one
		}
		return `[{` + members + `}]`
	}
	const three = `[{"key":"a","value":"1","time":"2016-02-03T04:05:06Z","labels":{"l":"1"}},{"key":"b","value":"2","labels":{"l":"2"}},{"key":"c","value":"3"}]`
	for _, one := range []struct{ name, input string }{
		{"element-is-merged", metric(three, `[{"value":"9"},{},{"key":"z"}]`)},
		{"shorter-list-cuts", metric(three, `[{}]`)},
		{"cut-elements-come-back", metric(three, `[{}]`, `[{},{},{}]`)},
		{"cut-elements-come-back-merged", metric(three, `[{"key":"x"}]`, `[{},{"key":"y"},{"labels":{"m":"9"}}]`)},
		{"cut-elements-come-back-for-null", metric(three, `[null]`, `[null,null,null]`)},
		{"cut-elements-come-back-before-new-ones", metric(three, `[{}]`, `[{},{},{},{},{},{"key":"new"}]`)},
		{"cut-twice", metric(three, `[{},{}]`, `[{}]`, `[{},{},{}]`)},
		{"one-element-at-a-time", metric(`[{"key":"a"}]`, `[{"value":"1"},{"key":"b"}]`, `[{},{"value":"2"},{"key":"c"}]`, `[{},{},{"value":"3"},{"key":"d"}]`)},
		{"empty-list-forgets", metric(three, `[]`, `[{},{},{}]`)},
		{"null-forgets", metric(three, `null`, `[{},{},{}]`)},
		{"labels-of-element-are-merged", metric(three, `[{"labels":{"m":"9"}}]`)},
		{"labels-of-element-nulled", metric(three, `[{"labels":null}]`, `[{"labels":{"m":"9"}}]`)},
		{"time-of-element-kept-by-null", metric(three, `[{"time":null}]`)},
		{"different-case", `[{"metrics":[{"key":"a"},{"key":"b"}],"METRICS":[{"value":"1"}],"Metrics":[null,null]}]`},
		{"next-batch-starts-afresh", `[{"metrics":` + three + `},{"metrics":[{},{},{}]}]`},
		{"escaped-key", `[{"metrics":[{"key":"a"}],"\u006detrics":[{"value":"1"}]}]`},
	} {
		r.accepts(batches, "metrics-"+one.name, one.input)
	}
	for _, one := range []struct{ name, members string }{
		{"null-keeps", `"acks":["a","b"],"acks":[null,"c"]`},
		{"shorter-list-cuts", `"acks":["a","b","c"],"acks":["d"]`},
		{"cut-elements-come-back-for-null", `"acks":["a","b","c"],"acks":["d"],"acks":[null,null,null]`},
		{"cut-elements-come-back-before-new-ones", `"acks":["a","b","c"],"acks":["d"],"acks":[null,null,null,null,"e"]`},
		{"empty-list-forgets", `"acks":["a","b"],"acks":[],"acks":[null,null]`},
		{"null-forgets", `"acks":["a","b"],"acks":null,"acks":[null,null]`},
	} {
		r.accepts(response, "model-acks-"+one.name, inModel(one.members))
		r.accepts(users, "user-acks-"+one.name, `{"user-responses":{"bob":{`+one.members+`}}}`)
	}
	r.accepts(response, "acks-of-repeated-model-start-afresh", `{"env-responses":{"m":{"acks":["a","b"]},"m":{"acks":[null,null]}}}`)
	for _, one := range []struct{ name, value string }{
		{"null-keeps", `[1,2,3],"credentials":[null,9]`},
		{"cut-bytes-come-back-for-null", `[1,2,3],"credentials":[9],"credentials":[null,null,null,null]`},
		{"empty-list-forgets", `[1,2,3],"credentials":[],"credentials":[null,null]`},
		{"null-forgets", `[1,2,3],"credentials":null,"credentials":[null,null]`},
		{"list-over-base64", `"QUJD","credentials":[null,9]`},
		{"cut-base64-comes-back", `"QUJD","credentials":[9],"credentials":[null,null,null]`},
		{"list-longer-than-base64", `"QUJD","credentials":[null,null,null,null,null,null,null,null,null,null]`},
		{"base64-padding-is-no-data", `"QQ==","credentials":[null,null,null,null]`},
		{"base64-over-list", `[1,2,3],"credentials":"QQ==","credentials":[null,null,null]`},
		{"base64-over-longer-base64", `"QUJDREVGR0g=","credentials":"QQ==","credentials":[null,null,null,null,null,null]`},
		{"base64-with-newlines-then-list", `"QU\nJD\r\nRA==","credentials":[null,null,null,null,null,null,null,null]`},
		{"base64-trailing-bits-then-list", `"QR==","credentials":[null,null,null]`},
		{"long-base64-then-list", `"QUJDREVGR0hJSktMTU5PUA==","credentials":[1],"credentials":[null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null]`},
	} {
		r.accepts(batches, "bytes-"+one.name, inBatch("credentials", one.value))
	}
}

// errorOrder: one value that does not fit refuses the document, whatever comes
// before or after it, while a syntax error does so before anything is decoded.
// What cannot be written matters only when it is still there at the end.
func errorOrder(r *rule) {
	r.refuses(batches, "wrong-then-right", `[{"uuid":1,"uuid":"u"}]`)
	r.refuses(batches, "right-then-wrong", `[{"uuid":"u","uuid":1}]`)
	r.refuses(batches, "bad-time-then-good", `[{"created":"yesterday","created":"2016-02-03T04:05:06Z"}]`)
	r.refuses(batches, "good-time-then-bad", `[{"created":"2016-02-03T04:05:06Z","created":"yesterday"}]`)
	r.refuses(batches, "bad-base64-then-good", `[{"credentials":"*","credentials":"YQ=="}]`)
	r.refuses(batches, "bad-base64-then-null", `[{"credentials":"*","credentials":null}]`)
	r.refuses(batches, "wrong-type-then-bad-time", `[{"uuid":1,"created":"yesterday"}]`)
	r.refuses(batches, "bad-time-then-wrong-type", `[{"created":"yesterday","uuid":1}]`)
	r.refuses(batches, "wrong-type-then-syntax-error", `[{"uuid":1},{]`)
	r.refuses(batches, "bad-time-then-syntax-error", `[{"created":"yesterday"},{]`)
	r.refuses(batches, "bad-last-batch", `[{"uuid":"u"},{"metrics":[{"labels":{"a":1}}]}]`)
	r.refuses(batches, "wrong-type-in-list-that-is-replaced", `[{"metrics":[{"key":1}],"metrics":[]}]`)
	r.refuses(batches, "wrong-type-in-list-that-is-nulled", `[{"metrics":[{"key":1}],"metrics":null}]`)
	r.refuses(batches, "wrong-type-in-element-that-is-cut", `[{"metrics":[{},{"key":1}],"metrics":[{}]}]`)
	r.refuses(response, "wrong-type-in-model-that-is-replaced", `{"env-responses":{"m":{"acks":1},"m":{}}}`)
	r.refuses(response, "grace-period-wrong-then-right", `{"new-grace-period":1.5,"new-grace-period":1}`)
	r.accepts(batches, "unwritable-time-then-good", `[{"created":"2016-02-03T04:05:06+24:00","created":"2016-02-03T04:05:06Z"}]`)
	r.cannotWrite(batches, "unwritable-time-then-null", `[{"created":"2016-02-03T04:05:06+24:00","created":null}]`)
	r.cannotWrite(batches, "good-time-then-unwritable", `[{"created":"2016-02-03T04:05:06Z","created":"2016-02-03T04:05:06+24:00"}]`)
	r.accepts(batches, "unwritable-time-in-list-that-is-replaced", `[{"metrics":[{"time":"2016-02-03T04:05:06+24:00"}],"metrics":[]}]`)
	r.accepts(batches, "unwritable-time-in-element-that-is-cut", `[{"metrics":[{},{"time":"2016-02-03T04:05:06+24:00"}],"metrics":[{}]}]`)
	r.cannotWrite(batches, "unwritable-time-in-element-that-comes-back", `[{"metrics":[{},{"time":"2016-02-03T04:05:06+24:00"}],"metrics":[{}],"metrics":[{},{}]}]`)
	r.refuses(batches, "unwritable-time-and-wrong-type", `[{"created":"2016-02-03T04:05:06+24:00","uuid":1}]`)
}
