// Package interop holds Tollgate's credentials against gopkg.in/macaroon.v2, in
// both directions, and against a running collector.
package interop

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// program is the tollgate under test, with keys of its own.
type program struct {
	path   string
	folder string
	secret []byte
}

// newProgram makes keys in the folder and reads their secret.
func newProgram(ctx context.Context, path, folder string) (*program, error) {
	p := &program{path: path, folder: folder}
	if _, err := p.run(ctx, nil, "credential", "new-key", p.keys(), "--id", "go"); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(p.keys())
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if id, digits, found := strings.Cut(strings.TrimSpace(line), " "); found && id == "go" {
			p.secret, err = hex.DecodeString(digits)
			return p, err
		}
	}
	return nil, fmt.Errorf("find the key in %s", p.keys())
}

func (p *program) keys() string {
	return filepath.Join(p.folder, "keys")
}

// rootKey is the key of one credential, derived as docs/credentials.md says.
func (p *program) rootKey(identifier []byte) []byte {
	hash := hmac.New(sha256.New, p.secret)
	hash.Write(identifier)
	return hash.Sum(nil)
}

// run runs the program to its end, which must be exit code 0, and gives what it
// printed.
func (p *program) run(ctx context.Context, input []byte, arguments ...string) (string, error) {
	command := p.command(ctx, arguments...)
	command.Stdin = bytes.NewReader(input)
	var printed, told bytes.Buffer
	command.Stdout, command.Stderr = &printed, &told
	if err := command.Run(); err != nil {
		return printed.String(), fmt.Errorf("run tollgate %s: %w\n%s%s", strings.Join(arguments, " "), err, &printed, &told)
	}
	return printed.String(), nil
}

// command is the program with these arguments, and with no configuration but
// what is given to it.
func (p *program) command(ctx context.Context, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, p.path, arguments...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "TOLLGATE_") {
			command.Env = append(command.Env, variable)
		}
	}
	return command
}

// mint makes a credential on the command line.
func (p *program) mint(ctx context.Context, terms ...string) (string, error) {
	return p.run(ctx, nil, append([]string{"credential", "mint", "--keys", p.keys()}, terms...)...)
}

// inspect says whether the program takes the credential for a batch of this
// model, unit and charm.
func (p *program) inspect(ctx context.Context, credential []byte, model, unit, charm string) (bool, string, error) {
	printed, err := p.run(ctx, credential, "credential", "inspect", "--keys", p.keys(), "--model", model, "--unit", unit, "--charm", charm)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return false, err.Error(), nil
	}
	return err == nil, printed, err
}

// collector is a running one that wants a credential of each batch.
type collector struct {
	listen, admin string
	command       *exec.Cmd
}

var readyLine = regexp.MustCompile(`^ready listen=(\S+) admin=(\S+) `)

const readyTimeout = 60 * time.Second

func (p *program) serve(ctx context.Context) (*collector, error) {
	command := p.command(ctx, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--ledger", filepath.Join(p.folder, "ledger"))
	command.Env = append(command.Env, "TOLLGATE_CREDENTIAL_KEYS_FILE="+p.keys(), "TOLLGATE_COLLECTOR_REQUIRE_CREDENTIALS=true",
		`TOLLGATE_PLAN=[{ url = "acme/gold", charms = ["ch:metered"], default = true, description = "Gold" }]`)
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start the collector: %w", err)
	}
	late := time.AfterFunc(readyTimeout, func() { _ = command.Process.Kill() })
	defer late.Stop()
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	found := readyLine.FindStringSubmatch(line)
	if found == nil {
		_ = command.Process.Kill()
		return nil, fmt.Errorf("start the collector: its first line is %q: %w", line, command.Wait())
	}
	return &collector{listen: found[1], admin: found[2], command: command}, nil
}

// stop asks the collector to end, which must give exit code 0.
func (c *collector) stop() error {
	if err := c.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return c.command.Wait()
}
