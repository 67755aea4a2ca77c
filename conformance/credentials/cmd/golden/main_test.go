package main

import (
	"bytes"
	"os"
	"testing"
)

func TestTheCommittedTableIsWhatGoWrites(t *testing.T) {
	committed, err := os.ReadFile("../../../../crates/tollgate-rules/golden/macaroons.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var written bytes.Buffer
	if err := write(&written); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(committed, written.Bytes()) {
		t.Error("go run ./cmd/golden writes something else")
	}
}
