// Package differential compares a program that checks documents of the wire
// format with the reference, on many random documents.
package differential

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/tollgate-metering/tollgate/conformance/internal/reference"
)

// Checker reads one document a line and answers each with one line: the
// canonical form, or "! " and a reason.
type Checker interface {
	// Start begins to check documents of type t, until its input is closed. When
	// ctx ends, the session ends too, and both of its pipes fail.
	Start(ctx context.Context, t reference.Type) (*Session, error)
}

// Session is a running check.
type Session struct {
	Documents io.WriteCloser
	Answers   io.Reader
	// Wait waits for the end, after Answers has been read to its end, and says
	// whether a document was refused.
	Wait func() (sawRefused bool, err error)
}

// Program is the checker `PATH check`.
type Program struct {
	Path string
	// Environment is added to our own, of which no TOLLGATE_ variable is handed on:
	// they would configure the program.
	Environment []string
}

// The exit codes of `tollgate check`.
const (
	exitAllGood    = 0
	exitSawRefused = 1
)

// Start runs the program.
func (p Program) Start(ctx context.Context, t reference.Type) (*Session, error) {
	command := exec.CommandContext(ctx, p.Path, "check", "--lines", "--canonical", "--type", string(t))
	own := slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "TOLLGATE_") })
	command.Env = append(own, p.Environment...)
	command.WaitDelay = 5 * time.Second
	var complaints bytes.Buffer
	command.Stderr = &complaints
	documents, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	answers, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	wait := func() (bool, error) {
		err := command.Wait()
		var exit *exec.ExitError
		switch {
		case err == nil:
			return false, nil
		case errors.As(err, &exit) && exit.ExitCode() == exitSawRefused:
			return true, nil
		}
		return false, fmt.Errorf("%s: %w\n%s", command, err, lastBytes(complaints.Bytes(), 2_000))
	}
	return &Session{Documents: documents, Answers: answers, Wait: wait}, nil
}

func lastBytes(text []byte, bytesMax int) []byte { return text[max(0, len(text)-bytesMax):] }
