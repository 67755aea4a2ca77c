package metrics

import "time"

// MetricBatch is one element of a posted document: what one unit, or a whole
// model, recorded at one time.
type MetricBatch struct {
	UUID                string    `json:"uuid"`
	ModelUUID           string    `json:"env-uuid"`
	ModelName           string    `json:"model-name"`
	UnitName            string    `json:"unit-name"`
	CharmUrl            string    `json:"charm-url"`
	Created             time.Time `json:"created"`
	Metrics             []Metric  `json:"metrics"`
	Credentials         []byte    `json:"credentials"`
	ResellerCredentials []byte    `json:"reseller-credentials"`
	SLACredentials      []byte    `json:"sla-credentials"`
}

// Metric is one reading of one meter.
type Metric struct {
	Key    string            `json:"key"`
	Value  string            `json:"value"`
	Time   time.Time         `json:"time"`
	Labels map[string]string `json:"labels,omitempty"`
}
