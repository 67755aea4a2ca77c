// Package client asks a collector for credentials as romulus' api/plan and
// api/sla do: the same requests, and the same reading of answers.
//
// romulus is licensed under the AGPL, so it is not used: what is here is written
// from what its clients put on the wire and what they take.
package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"gopkg.in/macaroon.v2"
)

// Client talks to a collector whose metering-url is Root.
type Client struct {
	Root string
}

// Plan is one that a charm can have.
type Plan struct {
	URL        string `json:"url"`
	Definition string `json:"plan"`
	CreatedOn  string `json:"created-on"`
}

// PlanRequest asks for the credential of an application.
type PlanRequest struct {
	EnvironmentUUID string `json:"env-uuid"`
	CharmURL        string `json:"charm-url"`
	ServiceName     string `json:"service-name"`
	PlanURL         string `json:"plan-url"`
}

// SLAResponse is what a model's credential comes in.
type SLAResponse struct {
	Owner       string             `json:"owner"`
	Credentials *macaroon.Macaroon `json:"credentials"`
	Message     string             `json:"message,omitempty"`
}

// Plans gives the plans of a charm.
func (c Client) Plans(charmURL string) ([]Plan, error) {
	var plans []Plan
	_, err := c.get("/charm", charmURL, &plans)
	return plans, err
}

// DefaultPlan gives what a charm has when nobody chose.
func (c Client) DefaultPlan(charmURL string) (string, error) {
	var plan Plan
	_, err := c.get("/charm/default", charmURL, &plan)
	return plan.URL, err
}

// AuthorizePlan gives a macaroon, and the body that it came as: the first is what
// `juju set-plan` keeps, the other what `juju deploy` does.
func (c Client) AuthorizePlan(request PlanRequest) (*macaroon.Macaroon, []byte, error) {
	var credential *macaroon.Macaroon
	body, err := c.post("/plan/authorize", request, &credential)
	return credential, body, err
}

// AuthorizeSLA gives what a model's own batches carry.
func (c Client) AuthorizeSLA(modelUUID, level, budget string) (*SLAResponse, error) {
	request := struct {
		ModelUUID string `json:"model"`
		Level     string `json:"sla"`
		Budget    string `json:"budget"`
	}{modelUUID, level, budget}
	var answer SLAResponse
	_, err := c.post("/sla/authorize", request, &answer)
	return &answer, err
}

// AuthorizeJIMM gives the bytes that JIMM puts into the batches of a user's models.
func (c Client) AuthorizeJIMM(user string) ([]byte, error) {
	request := struct {
		Tags map[string]string `json:"tags"`
	}{map[string]string{"user": user}}
	var answer struct {
		Credentials []byte `json:"credentials"`
	}
	_, err := c.post("/v4/jimm/authorization", request, &answer)
	return answer.Credentials, err
}

func (c Client) get(path, charmURL string, into any) ([]byte, error) {
	query := url.Values{"charm-url": {charmURL}}
	response, err := http.Get(c.Root + path + "?" + query.Encode())
	return read(response, err, into)
}

func (c Client) post(path string, request, into any) ([]byte, error) {
	body := &bytes.Buffer{}
	// With the newline that the encoder puts behind it, as the clients send it.
	if err := json.NewEncoder(body).Encode(request); err != nil {
		return nil, err
	}
	response, err := http.Post(c.Root+path, "application/json", body)
	return read(response, err, into)
}

func read(response *http.Response, err error, into any) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		var told struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal(body, &told); err != nil || told.Error == "" {
			return nil, fmt.Errorf("read what went wrong: status %d, body %q", response.StatusCode, body)
		}
		return nil, fmt.Errorf("be authorized (%d): %s", response.StatusCode, told.Error)
	}
	return body, json.NewDecoder(bytes.NewReader(body)).Decode(into)
}
