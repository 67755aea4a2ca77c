package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"gopkg.in/macaroon.v2"

	"github.com/tollgate-metering/tollgate/conformance/credentials/internal/client"
)

// batch is one as a controller posts it.
type batch struct {
	UUID           string   `json:"uuid"`
	ModelUUID      string   `json:"env-uuid"`
	ModelName      string   `json:"model-name"`
	UnitName       string   `json:"unit-name"`
	CharmURL       string   `json:"charm-url"`
	Created        string   `json:"created"`
	Metrics        []metric `json:"metrics"`
	Credentials    []byte   `json:"credentials"`
	Reseller       []byte   `json:"reseller-credentials"`
	SLACredentials []byte   `json:"sla-credentials"`
}

type metric struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	Time  string `json:"time"`
}

type response struct {
	Models map[string]struct {
		Acks  []string `json:"acks"`
		Units map[string]struct {
			Status string `json:"status"`
			Info   string `json:"info"`
		} `json:"unit-statuses"`
	} `json:"env-responses"`
}

const moment = "2026-11-27T12:00:00Z"

// run is one collector and what was posted to it.
type run struct {
	collector *collector
	client    client.Client
	// nRecorded and nQuarantined are what the collector should hold.
	nRecorded, nQuarantined int
}

// collect authorizes against a collector that wants credentials, and posts
// batches with what it got and with what nobody should have.
func collect(ctx context.Context, p *program) (figures string, err error) {
	served, err := p.serve(ctx)
	if err != nil {
		return "", err
	}
	defer func() {
		if stopped := served.stop(); err == nil && stopped != nil {
			err = fmt.Errorf("stop the collector: %w", stopped)
		}
	}()
	r := &run{collector: served, client: client.Client{Root: "http://" + served.listen + "/omnibus/v3"}}
	if err := r.plans(); err != nil {
		return "", err
	}
	raw, err := r.accepted()
	if err != nil {
		return "", err
	}
	if err := r.models(); err != nil {
		return "", err
	}
	if err := r.refused(ctx, p, raw); err != nil {
		return "", err
	}
	if err := r.revoked(ctx, p); err != nil {
		return "", err
	}
	nFlips, err := r.flipped(raw)
	if err != nil {
		return "", err
	}
	if err := r.count(); err != nil {
		return "", err
	}
	figures = fmt.Sprintf("%d batches recorded, %d in quarantine and RED, %d of them with one bit flipped", r.nRecorded, r.nQuarantined, nFlips)
	return figures, nil
}

func (r *run) plans() error {
	plans, err := r.client.Plans(charm)
	if err != nil {
		return err
	}
	if len(plans) != 1 || plans[0].URL != "acme/gold" || !strings.Contains(plans[0].Definition, `text: "Gold"`) {
		return fmt.Errorf("list the plans of a charm: %+v", plans)
	}
	plan, err := r.client.DefaultPlan(charm)
	if err != nil || plan != "acme/gold" {
		return fmt.Errorf("find the default plan: %q, %w", plan, err)
	}
	if _, err := r.client.DefaultPlan("ch:other"); err == nil || !strings.Contains(err.Error(), "404") {
		return fmt.Errorf("be told that a charm has no default plan: %v", err)
	}
	return nil
}

// accepted posts what `juju deploy` and `juju set-plan` make of a plan's
// credential, and gives the former.
func (r *run) accepted() ([]byte, error) {
	request := client.PlanRequest{EnvironmentUUID: model, CharmURL: charm, ServiceName: "metered", PlanURL: "acme/gold"}
	credential, raw, err := r.client.AuthorizePlan(request)
	if err != nil {
		return nil, err
	}
	if credential.Version() != macaroon.V1 {
		return nil, fmt.Errorf("get what the oldest Juju reads: version %d", credential.Version())
	}
	list, err := json.Marshal(macaroon.Slice{credential})
	if err != nil {
		return nil, err
	}
	upgraded := "ch:amd64/jammy/metered-2000"
	for name, form := range map[string][]byte{"deploy": raw, "newline": append(bytes.Clone(raw), '\n'), "set-plan": list} {
		if err := r.want("GREEN", of(name, "metered/0", upgraded, form)); err != nil {
			return nil, err
		}
	}
	return raw, nil
}

// models posts a batch of a model itself, and one of JIMM's.
func (r *run) models() error {
	sla, err := r.client.AuthorizeSLA(model, "essential", "10")
	if err != nil {
		return err
	}
	list, err := json.Marshal(macaroon.Slice{sla.Credentials})
	if err != nil {
		return err
	}
	own := of("sla", "", "", nil)
	own.Credentials, own.SLACredentials = []byte{}, list
	if err := r.want("", own); err != nil {
		return err
	}
	credential, err := r.client.AuthorizeJIMM("bob")
	if err != nil {
		return err
	}
	return r.want("GREEN", of("jimm", "jimm/0", "cs:~canonical/jimm-0", credential))
}

// refused posts what does not cover its batch.
func (r *run) refused(ctx context.Context, p *program, raw []byte) error {
	otherModel := of("other model", "metered/0", charm, raw)
	otherModel.ModelUUID = "other"
	expired, err := p.mint(ctx, "--model", model, "--expires", "2020-01-01T00:00:00Z")
	if err != nil {
		return err
	}
	for _, each := range []batch{
		otherModel,
		of("no credential", "metered/0", charm, nil),
		of("other unit", "meteredx/0", charm, raw),
		of("other charm", "metered/0", "ch:amd64/jammy/meteredx-7", raw),
		of("expired", "metered/0", charm, []byte(expired)),
		of("two", "metered/0", charm, []byte("["+string(raw)+","+expired+"]")),
	} {
		if err := r.want("RED", each); err != nil {
			return err
		}
	}
	return nil
}

// revoked takes a credential back that a batch was recorded with. The next one
// with it is refused, and the first stays recorded.
func (r *run) revoked(ctx context.Context, p *program) error {
	credential, err := p.mint(ctx, "--model", model)
	if err != nil {
		return err
	}
	before := of("before", "metered/0", charm, []byte(credential))
	if err := r.want("GREEN", before); err != nil {
		return err
	}
	var made macaroon.Macaroon
	if err := json.Unmarshal([]byte(credential), &made); err != nil {
		return err
	}
	id := strings.Fields(string(made.Id()))[3]
	if _, err := p.run(ctx, nil, "credential", "revoke", id, "--url", "http://"+r.collector.admin); err != nil {
		return err
	}
	if err := r.want("RED", of("after", "metered/0", charm, []byte(credential))); err != nil {
		return err
	}
	if err := r.want("GREEN", before); err != nil {
		return fmt.Errorf("have a recorded batch acknowledged again: %w", err)
	}
	r.nRecorded-- // It was the same one.
	return nil
}

// flipped posts a batch for each bit of the credential, with that bit flipped.
func (r *run) flipped(raw []byte) (int, error) {
	nBits := 8 * len(raw)
	const nAtOnce = 1000
	for start := 0; start < nBits; start += nAtOnce {
		var batches []batch
		for bit := start; bit < min(start+nAtOnce, nBits); bit++ {
			flipped := bytes.Clone(raw)
			flipped[bit/8] ^= 1 << (bit % 8)
			batches = append(batches, of(fmt.Sprintf("bit %d", bit), fmt.Sprintf("metered/%d", bit), charm, flipped))
		}
		if err := r.want("RED", batches...); err != nil {
			return 0, err
		}
	}
	return nBits, nil
}

// want posts batches, each of which must be acknowledged, and its unit, if it
// has one, show this status.
func (r *run) want(status string, batches ...batch) error {
	body, err := json.Marshal(batches)
	if err != nil {
		return err
	}
	answer, err := http.Post("http://"+r.collector.listen+"/metrics", "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var told response
	if err := json.NewDecoder(answer.Body).Decode(&told); err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("post batches: status %d, %w", answer.StatusCode, err)
	}
	acknowledged := map[string]bool{}
	for name, answered := range told.Models {
		for _, ack := range answered.Acks {
			acknowledged[name+" "+ack] = true
		}
	}
	for _, each := range batches {
		if !acknowledged[each.ModelUUID+" "+each.UUID] {
			return fmt.Errorf("have %q acknowledged", each.UUID)
		}
		unit := told.Models[each.ModelUUID].Units[each.UnitName]
		if unit.Status != status {
			return fmt.Errorf("see %s on %q: it is %q, %q", status, each.UUID, unit.Status, unit.Info)
		}
		if status == "RED" {
			r.nQuarantined++
		} else {
			r.nRecorded++
		}
	}
	return nil
}

// count compares what the collector holds with what it should.
func (r *run) count() error {
	answer, err := http.Get("http://" + r.collector.admin + "/metrics")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	for _, line := range []string{
		fmt.Sprintf("\ntollgate_ledger_batches %d\n", r.nRecorded),
		fmt.Sprintf("\ntollgate_ledger_quarantined %d\n", r.nQuarantined),
	} {
		if !bytes.Contains(page, []byte(line)) {
			return fmt.Errorf("find %q among\n%s", line, page)
		}
	}
	return nil
}

func of(uuid, unit, charmURL string, credentials []byte) batch {
	return batch{
		UUID: uuid, ModelUUID: model, ModelName: "bob/metered", UnitName: unit, CharmURL: charmURL, Created: moment,
		Metrics:     []metric{{Key: "juju-model-units", Value: "5", Time: moment}},
		Credentials: credentials,
	}
}
