package metrics

import "time"

// Response answers a controller's post.
type Response struct {
	UUID           string               `json:"uuid"`
	EnvResponses   EnvironmentResponses `json:"env-responses"`
	NewGracePeriod time.Duration        `json:"new-grace-period"`
}

// EnvironmentResponses holds the answer for each model, by its UUID.
type EnvironmentResponses map[string]EnvResponse

// EnvResponse is the answer for one model.
type EnvResponse struct {
	AcknowledgedBatches []string              `json:"acks,omitempty"`
	ModelStatus         ModelStatus           `json:"model-status,omitempty"`
	UnitStatuses        map[string]UnitStatus `json:"unit-statuses,omitempty"`
}

// ModelStatus is the meter status of a model.
type ModelStatus struct {
	Status string `json:"status"`
	Info   string `json:"info"`
}

// UnitStatus is the meter status of a unit.
type UnitStatus struct {
	Status string `json:"status"`
	Info   string `json:"info"`
}

// Ack acknowledges a batch under its model. Without a model or a batch there is
// nothing to acknowledge, and e stays as it is.
func (e EnvironmentResponses) Ack(model, batch string) {
	if model != "" && batch != "" {
		answer := e[model]
		answer.AcknowledgedBatches = append(answer.AcknowledgedBatches, batch)
		e[model] = answer
	}
}

// SetModelStatus replaces the status of a model.
func (e EnvironmentResponses) SetModelStatus(model, status, info string) {
	answer := e[model]
	answer.ModelStatus = ModelStatus{Status: status, Info: info}
	e[model] = answer
}

// SetUnitStatus replaces the status of one unit of a model.
func (e EnvironmentResponses) SetUnitStatus(model, unit, status, info string) {
	answer := e[model]
	if answer.UnitStatuses == nil {
		answer.UnitStatuses = make(map[string]UnitStatus)
	}
	answer.UnitStatuses[unit] = UnitStatus{Status: status, Info: info}
	e[model] = answer
}
