package reference

import (
	"errors"
	"testing"
)

func TestCanonical(t *testing.T) {
	for _, test := range []struct {
		name, document string
		documentType   Type
		canonical      string
		stage          Stage
	}{
		{"null list", "null", MetricBatches, "null", ""},
		{"empty list", " [ ] ", MetricBatches, "[]", ""},
		{"empty response", "{}", Response, `{"uuid":"","env-responses":null,"new-grace-period":0}`, ""},
		{"empty user answer", "null", UserStatusResponse, `{"uuid":"","user-responses":null}`, ""},
		{"list where an object belongs", "[]", Response, "", Decode},
		{"time that cannot be written", `[{"created":"2020-01-01T00:00:00+24:00"}]`, MetricBatches, "", Encode},
	} {
		canonical, err := Canonical(test.documentType, []byte(test.document))
		var stage Stage
		var refusal *Refusal
		if errors.As(err, &refusal) {
			stage = refusal.Stage
		}
		if string(canonical) != test.canonical || stage != test.stage {
			t.Errorf("%s: got %q, %v", test.name, canonical, err)
		}
	}
}
