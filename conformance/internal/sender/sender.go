// Package sender compares the requests of a Juju controller's send loop with those
// of tollgate send, for the same batches.
package sender

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/juju/romulus/wireformat/metrics"
)

// batchesPerSend is how many batches a controller sends at most at a time.
const batchesPerSend = 1000

// request is what one POST brought.
type request struct {
	method, path, contentType string
	body                      []byte
}

// recorder is a collector that keeps its requests. The first answers are errors.
type recorder struct {
	mu       sync.Mutex
	requests []request
	failures int
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, request{req.Method, req.URL.Path, req.Header.Get("Content-Type"), body})
	if r.failures > 0 {
		r.failures--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var batches []metrics.MetricBatch
	if err := json.Unmarshal(body, &batches); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	responses := make(metrics.EnvironmentResponses)
	for _, batch := range batches {
		responses.Ack(batch.ModelUUID, batch.UUID)
	}
	w.Header().Set("Content-Type", "application/json")
	// When it cannot be written, the sender notices.
	_ = json.NewEncoder(w).Encode(metrics.Response{UUID: "r", EnvResponses: responses})
}

// Batches makes n batches, whose texts meet the rules of encoding.
func Batches(n int) []metrics.MetricBatch {
	created := time.Date(2018, 3, 22, 10, 15, 30, 123000000, time.UTC)
	all := make([]metrics.MetricBatch, n)
	for i := range all {
		all[i] = metrics.MetricBatch{
			UUID:      fmt.Sprintf("11111111-1111-4111-8111-%012x", i),
			ModelUUID: "deadbeef-0bad-400d-8000-4b1d0d06f00d",
			ModelName: "controller <&>",
			UnitName:  fmt.Sprintf("metered/%d", i%7),
			CharmUrl:  "ch:quantal/metered-1",
			Created:   created.Add(time.Duration(i) * time.Millisecond),
			Metrics: []metrics.Metric{{
				Key:   "pings",
				Value: fmt.Sprint(i) + ".50",
				Time:  created,
			}},
			Credentials: []byte{},
		}
		if i%3 == 0 {
			all[i].Metrics[0].Labels = map[string]string{"zone": "é\u2028", "az": "b"}
			all[i].Credentials = []byte("[{\"caveats\":[]}]")
		}
	}
	return all
}

// sendAsJuju is the loop of a controller: chunks of what is unsent, until nothing is or
// an answer acknowledges nothing. An error ends it; the next tick starts it again.
func sendAsJuju(ctx context.Context, url string, unsent []metrics.MetricBatch) error {
	for tick := 0; len(unsent) > 0; tick++ {
		if tick > 100 {
			return errors.New("send all batches within 100 ticks")
		}
		for len(unsent) > 0 {
			chunk := unsent[:min(batchesPerSend, len(unsent))]
			response, err := post(ctx, url, chunk)
			if err != nil {
				break
			}
			acks := make(map[string]bool)
			for _, answer := range response.EnvResponses {
				for _, id := range answer.AcknowledgedBatches {
					acks[id] = true
				}
			}
			if len(acks) == 0 {
				break
			}
			left := make([]metrics.MetricBatch, 0, len(unsent))
			for _, batch := range unsent {
				if !acks[batch.UUID] {
					left = append(left, batch)
				}
			}
			unsent = left
		}
	}
	return nil
}

func post(ctx context.Context, url string, chunk []metrics.MetricBatch) (*metrics.Response, error) {
	body, err := json.Marshal(chunk)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/metrics", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("failed to send metrics http %d", answer.StatusCode)
	}
	var response metrics.Response
	if err := json.NewDecoder(answer.Body).Decode(&response); err != nil {
		return nil, err
	}
	return &response, nil
}

// Compare sends n batches both ways to a collector whose first answers are failures, and
// says where the requests differ. It gives how many requests there were.
func Compare(ctx context.Context, tollgate, folder string, n, failures int) (int, error) {
	batches := Batches(n)
	juju := &recorder{failures: failures}
	server := httptest.NewServer(juju)
	defer server.Close()
	if err := sendAsJuju(ctx, server.URL, batches); err != nil {
		return 0, err
	}

	lines := make([]string, 0, n)
	for _, batch := range batches {
		line, err := json.Marshal(batch)
		if err != nil {
			return 0, err
		}
		lines = append(lines, string(line))
	}
	file := filepath.Join(folder, "batches.jsonl")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return 0, err
	}
	ours := &recorder{failures: failures}
	other := httptest.NewServer(ours)
	defer other.Close()
	spool := filepath.Join(folder, "spool")
	for _, arguments := range [][]string{
		{"spool", "import", file, "--spool", spool},
		{"send", "--spool", spool, "--to", other.URL, "--for", "60"},
	} {
		command := exec.CommandContext(ctx, tollgate, arguments...)
		if output, err := command.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("run tollgate %s: %w: %s", arguments[0], err, output)
		}
	}
	return len(juju.requests), differ(juju.requests, ours.requests)
}

// differ tells the first difference of two lists of requests.
func differ(juju, ours []request) error {
	for i := range min(len(juju), len(ours)) {
		a, b := juju[i], ours[i]
		if a.method != b.method || a.path != b.path || a.contentType != b.contentType {
			return fmt.Errorf("request %d: %s %s %s as a controller, %s %s %s as tollgate", i,
				a.method, a.path, a.contentType, b.method, b.path, b.contentType)
		}
		if !bytes.Equal(a.body, b.body) {
			at := 0
			for at < min(len(a.body), len(b.body)) && a.body[at] == b.body[at] {
				at++
			}
			return fmt.Errorf("request %d: bodies of %d and %d bytes differ from byte %d on: %.80q and %.80q", i,
				len(a.body), len(b.body), at, a.body[at:], b.body[at:])
		}
	}
	if len(juju) != len(ours) {
		return fmt.Errorf("%d requests as a controller, %d as tollgate", len(juju), len(ours))
	}
	return nil
}
