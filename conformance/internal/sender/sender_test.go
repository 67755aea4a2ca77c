package sender

import (
	"context"
	"net/http/httptest"
	"testing"
)

func TestALoopSendsChunksUntilAllIsAcknowledged(t *testing.T) {
	for _, test := range []struct{ n, failures, want int }{
		{0, 0, 0}, {1, 0, 1}, {1000, 0, 1}, {1001, 0, 2}, {2500, 0, 3}, {2500, 2, 5},
	} {
		collector := &recorder{failures: test.failures}
		server := httptest.NewServer(collector)
		if err := sendAsJuju(context.Background(), server.URL, Batches(test.n)); err != nil {
			t.Errorf("%+v: %v", test, err)
		}
		server.Close()
		if len(collector.requests) != test.want {
			t.Errorf("%+v: %d requests", test, len(collector.requests))
		}
	}
}

func TestEveryDifferenceIsNoticed(t *testing.T) {
	one := request{"POST", "/metrics", "application/json", []byte("[1]")}
	for name, change := range map[string]func(*request){
		"method":       func(r *request) { r.method = "PUT" },
		"path":         func(r *request) { r.path = "//metrics" },
		"content type": func(r *request) { r.contentType = "" },
		"body":         func(r *request) { r.body = []byte("[2]") },
		"length":       func(r *request) { r.body = []byte("[1]\n") },
	} {
		other := one
		change(&other)
		if differ([]request{one}, []request{other}) == nil {
			t.Errorf("another %s is not noticed", name)
		}
	}
	if differ([]request{one}, nil) == nil || differ(nil, []request{one}) == nil {
		t.Error("a missing request is not noticed")
	}
	if err := differ([]request{one, one}, []request{one, one}); err != nil {
		t.Error(err)
	}
}
