package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/juju/romulus/wireformat/metrics"
)

// Settings of a run.
type Settings struct {
	NBatches int
	// NKills is how often the collector is killed while batches are on their way.
	NKills int
	Seed   uint64
	// Folder is where the ledger goes; it must exist.
	Folder string
	// Told hears of what happens, when it is not nil.
	Told func(what string)
}

const (
	// chunkBatches is how many batches a controller posts at once.
	chunkBatches = 1_000
	// repeatEvery says which chunks are sent twice, though all is well.
	repeatEvery = 10
	// nPosters is how many chunks are on their way at the same time.
	nPosters = 3
	// A chunk that does not get through in this many tries never will.
	triesMax = 200
)

// Figures of a run.
type Figures struct {
	NBatches    int
	NPosts      int
	NUnanswered int
	NTryLater   int
	// NRepeated counts batches sent again although they had been acknowledged, or at the same time.
	NRepeated int
	// NKills counts the kills while batches were on their way, and NKillsStarting those while it started again.
	NKills         int
	NKillsStarting int
	BytesSent      int
	Posting        time.Duration
	Restarting     time.Duration
	NExported      int
	Exporting      time.Duration
}

func (f Figures) String() string {
	return fmt.Sprintf("batches %d in %.1f s (%.0f batches/s), posts %d, sent twice on purpose %d batches, %.1f MB sent\n"+
		"kills %d, and %d more while it started (restarts took %.1f s), posts without an answer %d, posts answered with try later %d\nexported %d in %.1f s",
		f.NBatches, f.Posting.Seconds(), float64(f.NBatches)/f.Posting.Seconds(), f.NPosts, f.NRepeated, float64(f.BytesSent)/1e6,
		f.NKills, f.NKillsStarting, f.Restarting.Seconds(), f.NUnanswered, f.NTryLater, f.NExported, f.Exporting.Seconds())
}

// Run delivers the batches and checks all that is promised about them. The error
// is the first broken promise.
func Run(ctx context.Context, program Program, settings Settings) (Figures, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run{
		settings: settings,
		client:   &http.Client{Timeout: 2 * time.Minute},
		ledger:   filepath.Join(settings.Folder, "ledger"),
		program:  program,
	}
	if err := r.startServer(ctx); err != nil {
		return r.figures, err
	}
	began := time.Now()
	var group sync.WaitGroup
	fail := func(err error) {
		if err != nil {
			cancel(err)
		}
	}
	chunks := make(chan int)
	for range nPosters {
		group.Go(func() {
			for chunk := range chunks {
				fail(r.deliver(ctx, chunk))
			}
		})
	}
	killed := make(chan struct{})
	group.Go(func() {
		defer close(killed)
		fail(r.killNowAndThen(ctx))
	})
	r.handOut(ctx, chunks, killed)
	group.Wait()
	r.figures.NBatches = settings.NBatches
	r.figures.Posting = time.Since(began)
	server, _ := r.current()
	if err := context.Cause(ctx); err != nil {
		server.kill()
		return r.figures, fmt.Errorf("%w\nthe collector's last words:\n%s", err, server.log)
	}
	if err := server.stop(); err != nil {
		return r.figures, err
	}
	exporting := time.Now()
	n, err := program.checkExport(ctx, r.ledger, settings.Seed, settings.NBatches)
	r.figures.NExported, r.figures.Exporting = n, time.Since(exporting)
	return r.figures, err
}

// handOut gives each chunk to a poster, and goes round again while kills are
// outstanding. After the last one it sends some chunks once more: what was
// acknowledged before must be acknowledged again.
func (r *run) handOut(ctx context.Context, chunks chan<- int, killed <-chan struct{}) {
	defer close(chunks)
	nChunks := r.nChunks()
	for turn := 0; ; turn++ {
		if turn >= nChunks {
			select {
			case <-killed:
				r.handOutAgain(ctx, chunks)
				return
			default:
				r.count(func(f *Figures) { f.NRepeated += chunkBatches })
			}
		}
		select {
		case chunks <- turn % nChunks:
		case <-ctx.Done():
			return
		}
	}
}

func (r *run) handOutAgain(ctx context.Context, chunks chan<- int) {
	if r.settings.NKills == 0 {
		return
	}
	for chunk := 0; chunk < r.nChunks(); chunk += repeatEvery {
		r.count(func(f *Figures) { f.NRepeated += chunkBatches })
		select {
		case chunks <- chunk:
		case <-ctx.Done():
			return
		}
	}
}

// run is the state that the posters and the killer share.
type run struct {
	settings Settings
	program  Program
	ledger   string
	client   *http.Client

	lock    sync.Mutex
	server  *server
	figures Figures
	// restarted is closed and replaced whenever a new server is ready.
	restarted chan struct{}
	// isDown tells the time between a kill and the next server.
	isDown bool
}

func (r *run) nChunks() int { return (r.settings.NBatches + chunkBatches - 1) / chunkBatches }

func (r *run) startServer(ctx context.Context) error {
	began := time.Now()
	started, err := r.program.start(ctx, r.ledger)
	if err != nil {
		return err
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	if r.server != nil {
		r.figures.Restarting += time.Since(began)
		close(r.restarted)
	}
	r.server, r.isDown, r.restarted = started, false, make(chan struct{})
	return nil
}

// current is the server, and what is closed when another takes its place.
func (r *run) current() (*server, <-chan struct{}) {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.server, r.restarted
}

func (r *run) count(change func(*Figures)) {
	r.lock.Lock()
	defer r.lock.Unlock()
	change(&r.figures)
}

// deliver posts one chunk until all of it is acknowledged. Some chunks go twice
// at once, and some again after they were acknowledged.
func (r *run) deliver(ctx context.Context, chunk int) error {
	from := chunk * chunkBatches
	batches := make([]metrics.MetricBatch, min(chunkBatches, r.settings.NBatches-from))
	for i := range batches {
		batches[i] = batchAt(r.settings.Seed, from+i)
	}
	document, err := json.Marshal(batches)
	if err != nil {
		return fmt.Errorf("encode chunk %d: %w", chunk, err)
	}
	send := func() error {
		if err := r.postUntilAcknowledged(ctx, batches, document); err != nil {
			return fmt.Errorf("deliver chunk %d: %w", chunk, err)
		}
		return nil
	}
	if chunk%repeatEvery != 0 {
		return send()
	}
	r.count(func(f *Figures) { f.NRepeated += len(batches) })
	if chunk%(2*repeatEvery) != 0 {
		return errors.Join(send(), send())
	}
	twin := make(chan error, 1)
	go func() { twin <- send() }()
	return errors.Join(send(), <-twin)
}

func (r *run) postUntilAcknowledged(ctx context.Context, batches []metrics.MetricBatch, document []byte) error {
	var lastErr error
	for range triesMax {
		server, restarted := r.current()
		r.count(func(f *Figures) {
			f.NPosts++
			f.BytesSent += len(document)
		})
		answer, err := post(ctx, r.client, "http://"+server.listen+"/metrics", document)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && r.settings.NKills == 0:
			return fmt.Errorf("get an answer, though nobody killed the collector: %w", err)
		case err != nil:
			r.count(func(f *Figures) { f.NUnanswered++ })
			lastErr = err
			if err := r.awaitRestart(ctx, server, restarted); err != nil {
				return err
			}
		case answer.isTryLater():
			r.count(func(f *Figures) { f.NTryLater++ })
			lastErr = fmt.Errorf("status %d with Retry-After %s", answer.status, answer.retryAfter)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		default:
			return answer.check(batches)
		}
	}
	return fmt.Errorf("get an acknowledgement in %d tries: %w", triesMax, lastErr)
}

// awaitRestart waits for the server after one that did not answer. A server that
// ended without being killed is never replaced: that is a failure of its own.
func (r *run) awaitRestart(ctx context.Context, failed *server, restarted <-chan struct{}) error {
	select {
	case <-restarted:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-failed.ended:
	case <-time.After(readyTimeout):
		return fmt.Errorf("get an answer from a collector that is still running\n%s", failed.log)
	}
	r.lock.Lock()
	wasKilled := r.isDown || r.server != failed
	r.lock.Unlock()
	if !wasKilled {
		return fmt.Errorf("keep the collector running: it ended by itself: %w\n%s", failed.waitErr, failed.log)
	}
	select {
	case <-restarted:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
