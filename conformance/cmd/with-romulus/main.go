// Command with-romulus runs another command with the real romulus in place of
// the stand-in:
//
//	TOLLGATE_ROMULUS=/path/to/checkout go run ./cmd/with-romulus go test ./...
//
// It writes a temporary copy of go.mod whose replacement points at the checkout,
// and hands it to the command as -modfile in GOFLAGS. Nothing in the working
// tree changes.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const standIn = "=> ./romulus"

func main() {
	code, err := run(os.Getenv("TOLLGATE_ROMULUS"), os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "with-romulus: failed to", err)
	}
	os.Exit(code)
}

// run gives the exit code of command, 1 when it could not be run, and 2 when
// with-romulus was called wrongly.
func run(checkout string, command []string) (int, error) {
	if checkout == "" || len(command) == 0 {
		return 2, errors.New("find what to run: set TOLLGATE_ROMULUS to a checkout of github.com/juju/romulus and name a command")
	}
	checkout, err := filepath.Abs(checkout)
	if err != nil {
		return 1, err
	}
	if _, err := os.Stat(filepath.Join(checkout, "wireformat", "metrics")); err != nil {
		return 2, fmt.Errorf("find the wire types in TOLLGATE_ROMULUS: %w", err)
	}
	temporary, err := os.MkdirTemp("", "tollgate-romulus-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(temporary)
	modfile := filepath.Join(temporary, "go.mod")
	if err := writeModfile(modfile, checkout); err != nil {
		return 1, err
	}

	child := exec.Command(command[0], command[1:]...)
	child.Env = append(os.Environ(), "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -modfile="+modfile))
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := child.Run(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() > 0 {
			return exit.ExitCode(), nil
		}
		return 1, fmt.Errorf("run %s: %w", command[0], err)
	}
	return 0, nil
}

// writeModfile copies go.mod of the current folder with checkout in place of
// the stand-in.
func writeModfile(path, checkout string) error {
	committed, err := os.ReadFile("go.mod")
	if err != nil {
		return fmt.Errorf("read go.mod (run this in the conformance folder): %w", err)
	}
	before, after, found := strings.Cut(string(committed), standIn)
	if !found {
		return fmt.Errorf("find %q in go.mod", standIn)
	}
	return os.WriteFile(path, []byte(before+"=> "+checkout+after), 0o666)
}
