package vectors

import (
	"strings"
)

// fieldsAlone: every field and element by itself, with a value that is right for it.
func fieldsAlone(r *rule) {
	for _, p := range positions {
		r.accepts(p.t, p.name, p.holding(p.sample()))
	}
	r.accepts(batches, "whole-batch", wholeBatch)
	r.accepts(batches, "two-batches", `[`+wholeBatch[1:len(wholeBatch)-1]+`,{"uuid":"v"}]`)
	r.accepts(response, "whole-response", wholeResponse)
	r.accepts(users, "whole-user-status-response", wholeUserResponse)
	r.accepts(batches, "fields-in-reverse-order", `[{"sla-credentials":"Yw==","reseller-credentials":"Yg==","credentials":"YQ==","metrics":[{"labels":{"b":"2","a":"1"},"time":"2016-02-03T04:05:06Z","value":"1","key":"k"}],"created":"2016-02-03T04:05:06Z","charm-url":"c","unit-name":"n","model-name":"m","env-uuid":"e","uuid":"u"}]`)
}

const (
	wholeBatch = `[{"uuid":"u","env-uuid":"e","model-name":"m","unit-name":"app/0","charm-url":"ch:app-1","created":"2016-02-03T04:05:06.7Z",` +
		`"metrics":[{"key":"k","value":"1","time":"2016-02-03T04:05:06Z","labels":{"a":"1","b":"2"}},{"key":"l","value":"2","time":"2016-02-03T04:05:07Z"}],` +
		`"credentials":"YQ==","reseller-credentials":null,"sla-credentials":""}]`
	wholeResponse = `{"uuid":"r","env-responses":{"m":{"acks":["a","b"],"model-status":{"status":"GREEN","info":"fine"},` +
		`"unit-statuses":{"app/1":{"status":"RED","info":"over"},"app/0":{"status":"AMBER","info":""}}}},"new-grace-period":169200000000000}`
	wholeUserResponse = `{"uuid":"r","user-responses":{"bob":{"status":{"status":"GREEN","info":"fine"},"acks":["a","b"]},"alice":{}}}`
)

// missingKeys: a key that is not there leaves the zero value; older senders lack the newer keys.
func missingKeys(r *rule) {
	for _, one := range []struct{ name, without, document string }{
		{"batch.uuid", `"uuid":"u",`, wholeBatch},
		{"batch.env-uuid", `"env-uuid":"e",`, wholeBatch},
		{"batch.model-name", `"model-name":"m",`, wholeBatch},
		{"batch.unit-name", `"unit-name":"app/0",`, wholeBatch},
		{"batch.charm-url", `"charm-url":"ch:app-1",`, wholeBatch},
		{"batch.created", `"created":"2016-02-03T04:05:06.7Z",`, wholeBatch},
		{"batch.credentials", `"credentials":"YQ==",`, wholeBatch},
		{"batch.reseller-credentials", `"reseller-credentials":null,`, wholeBatch},
		{"batch.sla-credentials", `,"sla-credentials":""`, wholeBatch},
		{"metric.key", `"key":"k",`, wholeBatch},
		{"metric.value", `"value":"1",`, wholeBatch},
		{"metric.time", `"time":"2016-02-03T04:05:06Z",`, wholeBatch},
		{"metric.labels", `,"labels":{"a":"1","b":"2"}`, wholeBatch},
		{"response.uuid", `"uuid":"r",`, wholeResponse},
		{"response.new-grace-period", `,"new-grace-period":169200000000000`, wholeResponse},
		{"env-response.acks", `"acks":["a","b"],`, wholeResponse},
		{"env-response.model-status", `"model-status":{"status":"GREEN","info":"fine"},`, wholeResponse},
		{"model-status.status", `"status":"GREEN",`, wholeResponse},
		{"model-status.info", `,"info":"fine"`, wholeResponse},
		{"unit-status.status", `"status":"RED",`, wholeResponse},
		{"unit-status.info", `,"info":"over"`, wholeResponse},
		{"user-status-response.uuid", `"uuid":"r",`, wholeUserResponse},
		{"user-response.status", `"status":{"status":"GREEN","info":"fine"},`, wholeUserResponse},
		{"user-response.acks", `,"acks":["a","b"]`, wholeUserResponse},
		{"meter-status.status", `"status":"GREEN",`, wholeUserResponse},
		{"meter-status.info", `,"info":"fine"`, wholeUserResponse},
	} {
		document := strings.Replace(one.document, one.without, "", 1)
		if document == one.document {
			panic("nothing to leave out for " + one.name)
		}
		switch one.document {
		case wholeBatch:
			r.accepts(batches, one.name, document)
		case wholeResponse:
			r.accepts(response, one.name, document)
		default:
			r.accepts(users, one.name, document)
		}
	}
	r.accepts(batches, "all-of-batch", `[{}]`)
	r.accepts(batches, "all-of-metric", `[{"metrics":[{}]}]`)
	r.accepts(batches, "sender-of-2016", `[{"uuid":"u","env-uuid":"e","unit-name":"n","charm-url":"c","created":"2016-02-03T04:05:06Z","metrics":[{"key":"k","value":"1","time":"2016-02-03T04:05:06Z"}],"credentials":"YQ=="}]`)
	r.accepts(response, "all-of-model-answer", inModel(``))
	r.accepts(response, "all-of-statuses", inModel(`"model-status":{},"unit-statuses":{"app/0":{}}`))
	r.accepts(users, "all-of-user-answer", `{"user-responses":{"bob":{}}}`)
}

// unknownKeys: a key that no field has is read and dropped, with whatever it holds.
func unknownKeys(r *rule) {
	for _, value := range []struct{ name, text string }{
		{"null", `null`}, {"bool", `true`}, {"number", `12.5e-3`}, {"string", `"x"`}, {"list", `[1,"two",null,[],{}]`},
		{"object", `{"uuid":"inner","metrics":[{"key":1}],"x":{"x":{}}}`}, {"escapes", `"\u0000\ud800\"\\"`}, {"broken-utf8", "\"\xff\xc0\x80\""},
		{"duplicates-inside", `{"a":1,"a":2,"a":[]}`}, {"empty-key-inside", `{"":1}`}, {"bad-time", `{"created":"yesterday"}`},
	} {
		r.accepts(batches, "in-batch-"+value.name, `[{"extra":`+value.text+`,"uuid":"u"}]`)
		r.accepts(response, "in-response-"+value.name, `{"uuid":"r","extra":`+value.text+`}`)
		r.accepts(users, "in-user-status-response-"+value.name, `{"extra":`+value.text+`}`)
	}
	r.accepts(batches, "in-metric", `[{"metrics":[{"tags":{"model":"m"},"key":"k"}]}]`)
	r.accepts(response, "in-model-answer", inModel(`"colour":"blue"`))
	r.accepts(response, "in-status", inModel(`"model-status":{"status":"GREEN","since":"today"}`))
	r.accepts(response, "both-answers-in-one", `{"uuid":"r","env-responses":{},"user-responses":{"bob":{}},"new-grace-period":0}`)
	r.accepts(users, "both-answers-in-one-for-jem", `{"uuid":"r","env-responses":{},"user-responses":{"bob":{}},"new-grace-period":"soon"}`)
	r.accepts(batches, "empty-key", `[{"":"x","uuid":"u"}]`)
	r.accepts(batches, "name-of-the-go-field", `[{"ModelUUID":"x","CharmUrl":"y","SLACredentials":1}]`)
	r.accepts(batches, "name-with-underscore", `[{"env_uuid":1,"charm_url":2,"unit_name":3}]`)
	r.accepts(batches, "name-without-hyphen", `[{"envuuid":1,"charmurl":2}]`)
	r.accepts(batches, "name-with-blank", `[{"uuid ":1," uuid":2,"env uuid":3}]`)
	r.accepts(batches, "prefix-of-a-name", `[{"uui":1,"metric":2,"credential":3}]`)
	r.accepts(batches, "name-with-more", `[{"uuids":1,"metricss":2,"created-at":3}]`)
	r.accepts(batches, "field-of-another-type", `[{"key":1,"labels":2,"acks":3,"status":4}]`)
	r.accepts(batches, "1000-byte-key", `[{"`+strings.Repeat("k", 1000)+`":1}]`)
	r.refuses(batches, "syntax-error-inside", `[{"extra":{"a":tru}}]`)
	r.refuses(batches, "control-character-inside", "[{\"extra\":\"\x01\"}]")
	r.refuses(batches, "bad-escape-inside", `[{"extra":"\x"}]`)
	r.refuses(batches, "control-character-in-key", "[{\"ex\ttra\":1}]")
	r.refuses(batches, "bad-escape-in-key", `[{"ex\tra\q":1}]`)
}

// nulls: null leaves a value as it was, and makes a list, a map or bytes nil.
func nulls(r *rule) {
	for _, p := range positions {
		r.accepts(p.t, p.name, p.holding(`null`))
	}
	r.accepts(batches, "several-batches", `[null,{"uuid":"u"},null]`)
	r.accepts(batches, "several-metrics", `[{"metrics":[null,{"key":"k"},null]}]`)
	r.accepts(batches, "all-fields-of-batch", `[{"uuid":null,"env-uuid":null,"model-name":null,"unit-name":null,"charm-url":null,"created":null,"metrics":null,"credentials":null,"reseller-credentials":null,"sla-credentials":null}]`)
	r.accepts(batches, "all-fields-of-metric", `[{"metrics":[{"key":null,"value":null,"time":null,"labels":null}]}]`)
	r.accepts(response, "several-acks", inModel(`"acks":[null,"a",null]`))
	r.accepts(batches, "one-of-several-labels", `[{"metrics":[{"labels":{"a":null,"b":"2"}}]}]`)
	r.accepts(response, "one-of-several-models", `{"env-responses":{"a":null,"b":{"acks":["x"]}}}`)
}

// empties: nil and empty differ where Go keeps them apart, and are left out where omitempty says so.
func empties(r *rule) {
	r.accepts(batches, "metrics-list", inBatch("metrics", `[]`))
	r.accepts(batches, "metrics-nil", inBatch("metrics", `null`))
	r.accepts(batches, "bytes", inBatch("credentials", `""`))
	r.accepts(batches, "bytes-nil", inBatch("credentials", `null`))
	r.accepts(batches, "bytes-from-list", inBatch("credentials", `[]`))
	r.accepts(batches, "labels", inMetric("labels", `{}`))
	r.accepts(batches, "labels-nil", inMetric("labels", `null`))
	r.accepts(batches, "label-name-and-value", inMetric("labels", `{"":""}`))
	r.accepts(response, "models", `{"env-responses":{}}`)
	r.accepts(response, "model-name", `{"env-responses":{"":{}}}`)
	r.accepts(response, "acks", inModel(`"acks":[]`))
	r.accepts(response, "ack", inModel(`"acks":[""]`))
	r.accepts(response, "unit-statuses", inModel(`"unit-statuses":{}`))
	r.accepts(response, "unit-name", inModel(`"unit-statuses":{"":{}}`))
	r.accepts(users, "users", `{"user-responses":{}}`)
	r.accepts(users, "user-name", `{"user-responses":{"":{}}}`)
	r.accepts(users, "acks-of-user", `{"user-responses":{"bob":{"acks":[]}}}`)
	r.accepts(batches, "strings", `[{"uuid":"","env-uuid":"","metrics":[{"key":"","value":""}]}]`)
}

// wrongTypes: a value of another type than the field's refuses the whole document.
func wrongTypes(r *rule) {
	values := []struct {
		name, text string
		rightFor   []kind
	}{
		{"true", `true`, nil},
		{"false", `false`, nil},
		{"number", `1`, []kind{integer}},
		{"fraction", `1.5`, nil},
		// "QUJD" is base64, and is not a time.
		{"string", `"QUJD"`, []kind{text, octets}},
		{"list", `[]`, []kind{list, octets}},
		{"object", `{}`, []kind{object}},
	}
	for _, p := range positions {
		for _, value := range values {
			isRight := false
			for _, right := range value.rightFor {
				isRight = isRight || right == p.kind
			}
			if !isRight {
				r.refuses(p.t, p.name+"-"+value.name, p.holding(value.text))
			}
		}
	}
	r.refuses(batches, "list-of-strings-for-metrics", inBatch("metrics", `["k"]`))
	r.refuses(batches, "number-for-label", inMetric("labels", `{"a":"1","b":2}`))
	r.refuses(response, "number-for-ack", inModel(`"acks":["a",2]`))
	r.refuses(batches, "good-neighbours", `[{"uuid":"a"},{"uuid":2},{"uuid":"c"}]`)
	r.refuses(response, "list-of-models", `{"env-responses":[{"acks":["a"]}]}`)
}
