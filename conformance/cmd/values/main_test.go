package main

import (
	"bytes"
	"os"
	"testing"
)

// The table in the repository is what this Go release answers.
func TestTableIsCurrent(t *testing.T) {
	const path = "../../../crates/tollgate-rules/golden/values.jsonl"
	committed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var current bytes.Buffer
	if err := write(&current); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(committed, current.Bytes()) {
		t.Errorf("%s differs from what Go answers now: go run ./cmd/values > ../crates/tollgate-rules/golden/values.jsonl", path)
	}
}
