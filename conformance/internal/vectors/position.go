package vectors

import "github.com/tollgate-metering/tollgate/conformance/internal/reference"

// kind is what Go decodes at a position.
type kind string

const (
	text    kind = "string"
	instant kind = "time"
	octets  kind = "bytes"
	integer kind = "integer"
	list    kind = "list"
	object  kind = "object"
)

// position is a place in a document where a value can stand.
type position struct {
	name   string
	t      reference.Type
	before string
	after  string
	kind   kind
	// isField tells a struct's field from an element of a list or map.
	isField bool
}

// holding is the smallest document that has value at the position.
func (p position) holding(value string) string { return p.before + value + p.after }

// sample is a value that is right for the position and differs from the zero value.
func (p position) sample() string {
	switch p.kind {
	case text:
		return `"text"`
	case instant:
		return `"2016-02-03T04:05:06.789Z"`
	case octets:
		return `"Ynl0ZXM="`
	case integer:
		return `169200000000000`
	case list:
		return `[]`
	case object:
		return `{}`
	}
	panic("unknown kind " + p.kind)
}

func fieldOf(owner string, t reference.Type, before, key, after string, k kind) position {
	return position{owner + "." + key, t, before + `{"` + key + `":`, "}" + after, k, true}
}

func elementOf(name string, t reference.Type, before, after string, k kind) position {
	return position{name, t, before, after, k, false}
}

// positions lists every place of every type where a value can stand.
var positions = []position{
	elementOf("metric-batches", batches, "", "", list),
	elementOf("metric-batches[]", batches, "[", "]", object),
	fieldOf("batch", batches, "[", "uuid", "]", text),
	fieldOf("batch", batches, "[", "env-uuid", "]", text),
	fieldOf("batch", batches, "[", "model-name", "]", text),
	fieldOf("batch", batches, "[", "unit-name", "]", text),
	fieldOf("batch", batches, "[", "charm-url", "]", text),
	fieldOf("batch", batches, "[", "created", "]", instant),
	fieldOf("batch", batches, "[", "metrics", "]", list),
	elementOf("metrics[]", batches, `[{"metrics":[`, `]}]`, object),
	fieldOf("batch", batches, "[", "credentials", "]", octets),
	fieldOf("batch", batches, "[", "reseller-credentials", "]", octets),
	fieldOf("batch", batches, "[", "sla-credentials", "]", octets),
	fieldOf("metric", batches, `[{"metrics":[`, "key", `]}]`, text),
	fieldOf("metric", batches, `[{"metrics":[`, "value", `]}]`, text),
	fieldOf("metric", batches, `[{"metrics":[`, "time", `]}]`, instant),
	fieldOf("metric", batches, `[{"metrics":[`, "labels", `]}]`, object),
	elementOf("labels{}", batches, `[{"metrics":[{"labels":{"zone":`, `}}]}]`, text),

	elementOf("response", response, "", "", object),
	fieldOf("response", response, "", "uuid", "", text),
	fieldOf("response", response, "", "env-responses", "", object),
	fieldOf("response", response, "", "new-grace-period", "", integer),
	elementOf("env-responses{}", response, `{"env-responses":{"model":`, `}}`, object),
	fieldOf("env-response", response, `{"env-responses":{"model":`, "acks", `}}`, list),
	elementOf("env-response.acks[]", response, `{"env-responses":{"model":{"acks":[`, `]}}}`, text),
	fieldOf("env-response", response, `{"env-responses":{"model":`, "model-status", `}}`, object),
	fieldOf("model-status", response, `{"env-responses":{"model":{"model-status":`, "status", `}}}`, text),
	fieldOf("model-status", response, `{"env-responses":{"model":{"model-status":`, "info", `}}}`, text),
	fieldOf("env-response", response, `{"env-responses":{"model":`, "unit-statuses", `}}`, object),
	elementOf("unit-statuses{}", response, `{"env-responses":{"model":{"unit-statuses":{"app/0":`, `}}}}`, object),
	fieldOf("unit-status", response, `{"env-responses":{"model":{"unit-statuses":{"app/0":`, "status", `}}}}`, text),
	fieldOf("unit-status", response, `{"env-responses":{"model":{"unit-statuses":{"app/0":`, "info", `}}}}`, text),

	elementOf("user-status-response", users, "", "", object),
	fieldOf("user-status-response", users, "", "uuid", "", text),
	fieldOf("user-status-response", users, "", "user-responses", "", object),
	elementOf("user-responses{}", users, `{"user-responses":{"bob":`, `}}`, object),
	fieldOf("user-response", users, `{"user-responses":{"bob":`, "status", `}}`, object),
	fieldOf("meter-status", users, `{"user-responses":{"bob":{"status":`, "status", `}}}`, text),
	fieldOf("meter-status", users, `{"user-responses":{"bob":{"status":`, "info", `}}}`, text),
	fieldOf("user-response", users, `{"user-responses":{"bob":`, "acks", `}}`, list),
	elementOf("user-response.acks[]", users, `{"user-responses":{"bob":{"acks":[`, `]}}}`, text),
}

// inBatch is a document of one batch with one field.
func inBatch(key, value string) string { return `[{"` + key + `":` + value + `}]` }

// inMetric is a document of one metric with one field.
func inMetric(key, value string) string { return `[{"metrics":[{"` + key + `":` + value + `}]}]` }

// inModel is a response with one model, whose object has the members given.
func inModel(members string) string { return `{"env-responses":{"model":{` + members + `}}}` }
