package differential

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tollgate-metering/tollgate/conformance/internal/generate"
	"github.com/tollgate-metering/tollgate/conformance/internal/reference"
)

// Settings of a run.
type Settings struct {
	NDocuments int
	Seed       uint64
	// Stall is how long the checker may neither read nor answer before it counts as stuck.
	Stall time.Duration
	// NDifferencesKept is how many differences of each type are described; all are counted.
	NDifferencesKept int
}

// shares of each type among the documents, in percent.
var shares = map[reference.Type]int{
	reference.MetricBatches:      60,
	reference.Response:           25,
	reference.UserStatusResponse: 15,
}

// The writer may be this many chunks ahead of the answers. It bounds our memory,
// and is far more than a checker keeps in a buffer before it writes: a checker
// that flushes only a full buffer does not starve the reader.
const (
	chunkDocuments   = 64
	chunksAheadLimit = 512
)

// chunk is a run of documents and what the reference says to each.
type chunk struct {
	documents []generate.Document
	wanted    [][]byte
}

// Run compares the checker with the reference, each type in a session of its own.
// An error means that a comparison could not be finished; the report holds what
// was compared until then.
func Run(ctx context.Context, checker Checker, settings Settings) (*Report, error) {
	report := newReport()
	var group sync.WaitGroup
	var lock sync.Mutex
	var failures []error
	for _, t := range reference.Types {
		group.Go(func() {
			part, err := runType(ctx, checker, t, settings)
			lock.Lock()
			defer lock.Unlock()
			report.add(part)
			if err != nil {
				failures = append(failures, fmt.Errorf("check documents of type %s: %w", t, err))
			}
		})
	}
	group.Wait()
	return report, errors.Join(failures...)
}

// runType feeds one session from a goroutine of its own while it reads the
// answers, so that neither pipe can fill up and block the other.
func runType(ctx context.Context, checker Checker, t reference.Type, settings Settings) (*Report, error) {
	report := newReport()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	session, err := checker.Start(ctx, t)
	if err != nil {
		return report, err
	}
	var progress atomic.Int64
	stopWatch := watch(&progress, settings.Stall, cancel)
	defer stopWatch()

	pending := make(chan chunk, chunksAheadLimit)
	written := make(chan error, 1)
	go func() {
		defer close(pending)
		written <- feed(ctx, session.Documents, t, settings, pending, &progress)
	}()
	readErr := compareAll(ctx, bufio.NewReaderSize(session.Answers, 1<<16), t, settings, pending, &progress, report)
	if readErr != nil {
		cancel(readErr)
		for range pending {
			// The writer must not wait for us.
		}
	}
	writeErr := <-written
	sawRefused, waitErr := session.Wait()
	if readErr == nil && waitErr == nil && sawRefused != (report.nRefused() > 0) {
		waitErr = fmt.Errorf("exit code says a document was refused: %t; the reference refused %d", sawRefused, report.nRefused())
	}
	if cause := context.Cause(ctx); cause != nil {
		// The other pipe failed only because we ended the session; how the checker ended may tell why.
		return report, errors.Join(cause, waitErr)
	}
	return report, errors.Join(readErr, writeErr, waitErr)
}

// feed generates the documents and writes them. The answers that a chunk must
// get are queued before its documents leave.
func feed(ctx context.Context, documents io.WriteCloser, t reference.Type, settings Settings, pending chan<- chunk, progress *atomic.Int64) error {
	generator := generate.New(t, settings.Seed)
	var lines bytes.Buffer
	for remaining := settings.NDocuments * shares[t] / 100; remaining > 0; remaining -= chunkDocuments {
		var next chunk
		lines.Reset()
		for range min(chunkDocuments, remaining) {
			document := generator.Next()
			next.documents = append(next.documents, document)
			next.wanted = append(next.wanted, expected(t, document.Bytes))
			lines.Write(document.Bytes)
			lines.WriteByte('\n')
		}
		select {
		case pending <- next:
		case <-ctx.Done():
			return ctx.Err()
		}
		if _, err := documents.Write(lines.Bytes()); err != nil {
			return fmt.Errorf("write documents: %w", err)
		}
		progress.Add(1)
	}
	return documents.Close()
}

// compareAll reads one answer for each document, and then the end.
func compareAll(ctx context.Context, answers *bufio.Reader, t reference.Type, settings Settings, pending <-chan chunk, progress *atomic.Int64, report *Report) error {
	index := 0
	for one := range pending {
		for i, document := range one.documents {
			line, err := answers.ReadBytes('\n')
			if err != nil {
				return fmt.Errorf("read the answer to document %d, which is %.2000q: %w", index, document.Bytes, noEOF(err))
			}
			progress.Add(1)
			got := bytes.TrimSuffix(line, []byte("\n"))
			report.count(document.Points, one.wanted[i])
			if !agree(one.wanted[i], got) {
				report.differ(&Difference{Type: t, Index: index, Document: document.Bytes, Want: one.wanted[i], Got: got}, settings.NDifferencesKept)
			}
			index++
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	extra, err := answers.ReadBytes('\n')
	if !errors.Is(err, io.EOF) || len(extra) > 0 {
		return fmt.Errorf("read the end of the answers: got %.200q, %v", extra, err)
	}
	return nil
}

// noEOF makes an end that comes too early an error of its own.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// watch cancels when there was no progress for as long as stall.
func watch(progress *atomic.Int64, stall time.Duration, cancel context.CancelCauseFunc) (stop func()) {
	done := make(chan struct{})
	go func() {
		last := int64(-1)
		for {
			select {
			case <-done:
				return
			case <-time.After(stall):
			}
			now := progress.Load()
			if now == last {
				cancel(fmt.Errorf("wait for the checker: it neither read nor answered for %v", stall))
				return
			}
			last = now
		}
	}()
	return sync.OnceFunc(func() { close(done) })
}
