package deliver

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Program is the collector under test.
type Program struct {
	Path string
	// Environment is added to our own, of which no TOLLGATE_ variable is handed on:
	// they would configure the collector.
	Environment []string
}

func (p Program) command(ctx context.Context, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, p.Path, arguments...)
	own := slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "TOLLGATE_") })
	command.Env = append(own, p.Environment...)
	command.WaitDelay = 10 * time.Second
	return command
}

const (
	// A ledger of this size is ready in well under a second; recovery of a torn one may take longer.
	readyTimeout = 60 * time.Second
	// Longer than the collector takes for its requests in flight.
	stopTimeout = 60 * time.Second
)

var readyLine = regexp.MustCompile(`^ready listen=(\S+) admin=(\S+) ledger=(.+)\n$`)

// server is a running collector.
type server struct {
	// listen is the address of the wire listener.
	listen  string
	command *exec.Cmd
	log     *tail
	ended   chan struct{}
	waitErr error
	// extra is what came on standard output after the line that says ready.
	extra bytes.Buffer
}

// start starts a collector on a ledger and waits until it says that it is ready.
func (p Program) start(ctx context.Context, ledger string) (*server, error) {
	s := &server{
		command: p.command(ctx, "serve", "--ledger", ledger, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"),
		log:     &tail{},
		ended:   make(chan struct{}),
	}
	s.command.Stderr = s.log
	stdout, err := s.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("start the collector: %w", err)
	}
	ready := make(chan string, 1)
	go func() {
		reader := bufio.NewReader(stdout)
		line, _ := reader.ReadString('\n')
		ready <- line
		io.Copy(&s.extra, reader)
		s.waitErr = s.command.Wait()
		close(s.ended)
	}()
	select {
	case line := <-ready:
		found := readyLine.FindStringSubmatch(line)
		if found == nil {
			s.kill()
			return nil, fmt.Errorf("start the collector: its first line is %q, want ready listen=… admin=… ledger=…\n%s", line, s.log)
		}
		s.listen = found[1]
		return s, nil
	case <-time.After(readyTimeout):
		s.kill()
		return nil, fmt.Errorf("start the collector: not ready after %v\n%s", readyTimeout, s.log)
	}
}

// startAndKill starts a collector on a ledger and kills it soon after, which may
// be in the middle of its recovery.
func (p Program) startAndKill(ctx context.Context, ledger string, after time.Duration) error {
	command := p.command(ctx, "serve", "--ledger", ledger, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	if err := command.Start(); err != nil {
		return fmt.Errorf("start the collector: %w", err)
	}
	time.Sleep(after)
	if err := command.Process.Kill(); err != nil {
		return fmt.Errorf("kill the collector while it starts: %w", err)
	}
	var exit *exec.ExitError
	if err := command.Wait(); !errors.As(err, &exit) || exit.Exited() {
		return fmt.Errorf("kill the collector while it starts: it ended by itself: %v", err)
	}
	return nil
}

// kill ends the collector with SIGKILL and waits until it is gone.
func (s *server) kill() {
	// It may have ended by itself just now; then there is nothing to kill.
	_ = s.command.Process.Kill()
	<-s.ended
}

// stop asks the collector to end with SIGTERM, which must give exit code 0.
func (s *server) stop() error {
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop the collector: it had ended before: %w\n%s", errors.Join(err, s.endedBy()), s.log)
	}
	select {
	case <-s.ended:
	case <-time.After(stopTimeout):
		s.kill()
		return fmt.Errorf("stop the collector: still there %v after SIGTERM\n%s", stopTimeout, s.log)
	}
	if s.waitErr != nil {
		return fmt.Errorf("stop the collector: %w\n%s", s.waitErr, s.log)
	}
	if s.extra.Len() > 0 {
		return fmt.Errorf("stop the collector: more than one line on its standard output: %.300q", s.extra.Bytes())
	}
	return nil
}

// endedBy is how the collector ended, or nil while it runs.
func (s *server) endedBy() error {
	select {
	case <-s.ended:
		return cmp.Or(s.waitErr, errors.New("exit code 0"))
	default:
		return nil
	}
}

// tail keeps the end of what a program writes to its log.
type tail struct {
	lock sync.Mutex
	text []byte
}

const tailBytesMax = 4_000

func (t *tail) Write(text []byte) (int, error) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.text = append(t.text, text...)
	t.text = t.text[max(0, len(t.text)-tailBytesMax):]
	return len(text), nil
}

func (t *tail) String() string {
	t.lock.Lock()
	defer t.lock.Unlock()
	return string(t.text)
}
