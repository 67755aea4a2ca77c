package deliver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"

	"github.com/juju/romulus/wireformat/metrics"
)

// answer is what came back for one post.
type answer struct {
	status      int
	contentType string
	retryAfter  string
	body        []byte
}

// post sends one document and reads the whole answer. An error says that no
// answer came, or not all of it, so nothing is known about the batches.
func post(ctx context.Context, client *http.Client, url string, document []byte) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(document))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	return &answer{
		status:      response.StatusCode,
		contentType: response.Header.Get("Content-Type"),
		retryAfter:  response.Header.Get("Retry-After"),
		body:        body,
	}, nil
}

// isTryLater tells an answer that acknowledges nothing and asks to be sent the same again.
func (a *answer) isTryLater() bool {
	return (a.status == http.StatusServiceUnavailable || a.status == http.StatusTooManyRequests) && a.retryAfter != ""
}

// check holds an answer to the contract: status 200 and no other, JSON, and each
// batch of the request acknowledged once, under its own model, and nothing else.
func (a *answer) check(sent []metrics.MetricBatch) error {
	if a.status != http.StatusOK {
		return fmt.Errorf("status %d, want 200: %.500q", a.status, a.body)
	}
	if mediaType, _, err := mime.ParseMediaType(a.contentType); err != nil || mediaType != "application/json" {
		return fmt.Errorf("Content-Type %q, want application/json", a.contentType)
	}
	var response metrics.Response
	if err := json.Unmarshal(a.body, &response); err != nil {
		return fmt.Errorf("decode the answer %.500q: %w", a.body, err)
	}
	if response.UUID == "" {
		return errors.New("the answer has no uuid")
	}
	unacknowledged := make(map[id]bool, len(sent))
	models := make(map[string]bool, nModels)
	for i := range sent {
		unacknowledged[idOf(&sent[i])] = true
		models[sent[i].ModelUUID] = true
	}
	for model, environment := range response.EnvResponses {
		if !models[model] {
			return fmt.Errorf("the answer names model %q, which the request does not", model)
		}
		for _, batch := range environment.AcknowledgedBatches {
			isOpen, isOurs := unacknowledged[id{model, batch}]
			switch {
			case !isOurs:
				return fmt.Errorf("batch %q is acknowledged under model %q, and the request has no such batch", batch, model)
			case !isOpen:
				return fmt.Errorf("batch %q of model %q is acknowledged twice in one answer", batch, model)
			}
			unacknowledged[id{model, batch}] = false
		}
		if err := checkStatuses(environment); err != nil {
			return fmt.Errorf("model %q: %w", model, err)
		}
	}
	for one, isOpen := range unacknowledged {
		if isOpen {
			return fmt.Errorf("batch %q of model %q was answered, but not acknowledged", one.batch, one.model)
		}
	}
	return nil
}

// checkStatuses holds statuses to what a controller takes: it logs and drops any
// other code, and a unit without a name makes it fail.
func checkStatuses(environment metrics.EnvResponse) error {
	codes := []string{"GREEN", "AMBER", "RED"}
	if code := environment.ModelStatus.Status; code != "" && !slices.Contains(codes, code) {
		return fmt.Errorf("model status %q", code)
	}
	for unit, status := range environment.UnitStatuses {
		if unit == "" || !slices.Contains(codes, status.Status) {
			return fmt.Errorf("unit %q has status %q", unit, status.Status)
		}
	}
	return nil
}
