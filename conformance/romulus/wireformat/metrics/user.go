package metrics

// UserStatusResponse answers a post of JEM or JIMM, by user instead of by model.
type UserStatusResponse struct {
	UUID          string        `json:"uuid"`
	UserResponses UserResponses `json:"user-responses"`
}

// UserResponses holds the answer for each user, by name.
type UserResponses map[string]UserResponse

// UserResponse is the answer for one user.
type UserResponse struct {
	Status              MeterStatus `json:"status"`
	AcknowledgedBatches []string    `json:"acks,omitempty"`
}

// MeterStatus is the meter status of a user.
type MeterStatus struct {
	Status string `json:"status"`
	Info   string `json:"info"`
}
