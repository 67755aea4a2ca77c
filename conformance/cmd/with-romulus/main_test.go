package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestModfilePointsAtTheCheckout, and says the same as go.mod for the rest.
func TestModfilePointsAtTheCheckout(t *testing.T) {
	t.Chdir("../..")
	modfile := filepath.Join(t.TempDir(), "go.mod")
	if err := writeModfile(modfile, "/some/checkout"); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(modfile)
	if err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(string(committed), "./romulus", "/some/checkout", 1); string(written) != want {
		t.Errorf("wrote\n%s", written)
	}
}

// TestRun gives the exit code of the command, and 2 when there is nothing to run.
func TestRun(t *testing.T) {
	t.Chdir("../..")
	for _, test := range []struct {
		name, checkout string
		command        []string
		code           int
		says           string
	}{
		{"no checkout", "", []string{"true"}, 2, "set TOLLGATE_ROMULUS"},
		{"no command", "romulus", nil, 2, "name a command"},
		{"not a checkout", t.TempDir(), []string{"true"}, 2, "find the wire types"},
		{"success", "romulus", []string{"sh", "-c", `test -f "${GOFLAGS##*-modfile=}"`}, 0, ""},
		{"failure", "romulus", []string{"sh", "-c", "exit 7"}, 7, ""},
		{"no such command", "romulus", []string{"/no/such/command"}, 1, "no such file"},
	} {
		code, err := run(test.checkout, test.command)
		message := ""
		if err != nil {
			message = err.Error()
		}
		if code != test.code || !strings.Contains(message, test.says) || (err != nil) != (test.says != "") {
			t.Errorf("%s: got %d, %v", test.name, code, err)
		}
	}
}
