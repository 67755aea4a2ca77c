// Package reference is the reference of the wire format: Go's encoding/json
// acting on the types of github.com/juju/romulus/wireformat/metrics.
package reference

import (
	"encoding/json"
	"fmt"

	"github.com/juju/romulus/wireformat/metrics"
)

// Type is a type of document, by the name that `tollgate check --type` takes.
type Type string

// The types of document that travel on the wire.
const (
	MetricBatches      Type = "metric-batches"
	Response           Type = "response"
	UserStatusResponse Type = "user-status-response"
)

// Types lists every type of document.
var Types = []Type{MetricBatches, Response, UserStatusResponse}

// Stage is the half of the round trip that refused a document.
type Stage string

// Decoding refuses most bad documents. Encoding refuses only times that were
// read but cannot be written, such as one with an offset of 24 hours.
const (
	Decode Stage = "decode"
	Encode Stage = "encode"
)

// Refusal says why a document has no canonical form.
type Refusal struct {
	Stage Stage
	Err   error
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s: %v", r.Stage, r.Err) }

// Unwrap gives the error of encoding/json.
func (r *Refusal) Unwrap() error { return r.Err }

// Canonical decodes document into the Go type of t and encodes the result again.
// The error is always a *Refusal. It panics when t is not one of Types.
func Canonical(t Type, document []byte) ([]byte, error) {
	switch t {
	case MetricBatches:
		return roundTrip[[]metrics.MetricBatch](document)
	case Response:
		return roundTrip[metrics.Response](document)
	case UserStatusResponse:
		return roundTrip[metrics.UserStatusResponse](document)
	}
	panic(fmt.Sprintf("unknown document type %q", t))
}

func roundTrip[T any](document []byte) ([]byte, error) {
	var value T
	if err := json.Unmarshal(document, &value); err != nil {
		return nil, &Refusal{Stage: Decode, Err: err}
	}
	canonical, err := json.Marshal(value)
	if err != nil {
		return nil, &Refusal{Stage: Encode, Err: err}
	}
	return canonical, nil
}
