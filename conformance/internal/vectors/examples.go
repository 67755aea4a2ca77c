package vectors

import (
	"time"

	"github.com/juju/romulus/wireformat/metrics"
)

// examples gives one realistic document of each type, for the documentation.
func examples() map[string]any {
	const (
		model    = "8f2d6a4c-93d1-4c57-9a40-5b6d1f3c2e10"
		first    = "0b9f4d52-6f0e-4c39-8f6c-2f1a7f0f5d01"
		second   = "0b9f4d52-6f0e-4c39-8f6c-2f1a7f0f5d02"
		answer   = "c3a1e7b8-1d4f-4b6a-9f3e-7a2b5c8d9e00"
		unit     = "storage/0"
		charm    = "ch:amd64/jammy/storage-42"
		macaroon = `{"caveats":[],"location":"tollgate","identifier":"plan-7","signature":"5f0c"}`
	)
	recorded := time.Date(2024, time.March, 18, 9, 30, 0, 0, time.UTC)
	metric := metrics.Metric{
		Key:    "requests",
		Value:  "1250",
		Time:   recorded,
		Labels: map[string]string{"zone": "eu-west", "tier": "gold"},
	}
	batch := metrics.MetricBatch{
		UUID:      first,
		ModelUUID: model,
		ModelName: "bob/production",
		UnitName:  unit,
		CharmUrl:  charm,
		Created:   recorded.Add(1250 * time.Millisecond),
		Metrics: []metrics.Metric{
			metric,
			{Key: "stored-gib", Value: "87.5", Time: recorded.Add(time.Second)},
		},
		Credentials: []byte(macaroon),
	}
	// A batch about the model as a whole names neither a unit nor a charm.
	modelBatch := metrics.MetricBatch{
		UUID:      second,
		ModelUUID: model,
		ModelName: "bob/production",
		Created:   recorded.Add(2 * time.Second),
		Metrics: []metrics.Metric{
			{Key: "juju-machines", Value: "3", Time: recorded.Add(2 * time.Second)},
		},
		Credentials:    []byte{},
		SLACredentials: []byte("[" + macaroon + "]"),
	}
	modelStatus := metrics.ModelStatus{Status: "AMBER", Info: "requests: 820000 of 1000000 used this month"}
	unitStatus := metrics.UnitStatus{Status: "GREEN", Info: ""}
	environment := metrics.EnvResponse{
		AcknowledgedBatches: []string{first, second},
		ModelStatus:         modelStatus,
		UnitStatuses:        map[string]metrics.UnitStatus{unit: unitStatus},
	}
	environments := metrics.EnvironmentResponses{model: environment}
	meterStatus := metrics.MeterStatus{Status: "GREEN", Info: "within all allowances"}
	user := metrics.UserResponse{Status: meterStatus, AcknowledgedBatches: []string{first}}
	users := metrics.UserResponses{"bob": user}
	return map[string]any{
		"metric":                metric,
		"metric-batch":          batch,
		"metric-batches":        []metrics.MetricBatch{batch, modelBatch},
		"response":              metrics.Response{UUID: answer, EnvResponses: environments, NewGracePeriod: 7 * 24 * time.Hour},
		"environment-responses": environments,
		"env-response":          environment,
		"model-status":          modelStatus,
		"unit-status":           unitStatus,
		"meter-status":          meterStatus,
		"user-response":         user,
		"user-responses":        users,
		"user-status-response":  metrics.UserStatusResponse{UUID: answer, UserResponses: users},
	}
}
