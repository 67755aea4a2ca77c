// Command collector is the peer of `tollgate serve` in the benchmark: a collector as one writes it in Go with the
// standard library alone, as well as that goes.
//
// It keeps the promise that is measured: a batch is acknowledged when it is in the file and synced, and counts once,
// however often and by however many connections at the same time it is sent. Requests that wait share a sync. It
// checks that values are numbers, keeps canonical JSON and tells another content under the same id by its SHA-256.
// It leaves out the rest of what Tollgate does: exact decimals, sums by meter, quarantine, limits on memory and time,
// checksums, recovery.
package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/juju/romulus/wireformat/metrics"
)

const (
	groupBatchesMax = 10_000
	waitingMax      = 1_024
	// Four times the memory that lives, for a third less of the time: what an operator would set.
	garbagePercent = 400
)

func main() {
	flag.Parse()
	if flag.NArg() != 1 {
		fail(errors.New("usage: collector FOLDER"))
	}
	debug.SetGCPercent(garbagePercent)
	folder := flag.Arg(0)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		fail(err)
	}
	file, err := os.OpenFile(filepath.Join(folder, "batches.jsonl"), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		fail(err)
	}
	ledger := &ledger{file: file, waiting: make(chan *job, waitingMax), recorded: map[id]digest{}}
	go ledger.run()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /metrics", func(w http.ResponseWriter, r *http.Request) { post(ledger, w, r) })
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "collector_batches %d\n", ledger.count.Load())
	})
	server := &http.Server{Handler: mux}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		os.Exit(0)
	}()
	fmt.Printf("ready listen=%[1]s admin=%[1]s ledger=%[2]s\n", listener.Addr(), folder)
	fail(server.Serve(listener))
}

type id struct{ model, batch string }

type digest [sha256.Size]byte

// A job is one request's batches on their way into the ledger.
type job struct {
	ids     []id
	digests []digest
	// Lines holds the batches as JSON, one a line; ends says where each line ends.
	lines []byte
	ends  []int
	done  chan error
}

func post(ledger *ledger, w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if 0 < r.ContentLength {
		body.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	if _, err := io.Copy(&body, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var batches []metrics.MetricBatch
	if err := json.Unmarshal(body.Bytes(), &batches); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	job, err := prepare(batches, body.Len())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ledger.waiting <- job
	if err := <-job.done; err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	answer, err := json.Marshal(response(batches))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	w.Write(answer)
}

func prepare(batches []metrics.MetricBatch, size int) (*job, error) {
	job := &job{
		ids:     make([]id, len(batches)),
		digests: make([]digest, len(batches)),
		lines:   make([]byte, 0, size+size/8),
		ends:    make([]int, len(batches)),
		done:    make(chan error, 1),
	}
	lines := bytes.NewBuffer(job.lines)
	encoder := json.NewEncoder(lines)
	for i, batch := range batches {
		for _, metric := range batch.Metrics {
			if _, err := strconv.ParseFloat(metric.Value, 64); err != nil {
				return nil, fmt.Errorf("metric %q of batch %q: %w", metric.Key, batch.UUID, err)
			}
		}
		start := lines.Len()
		if err := encoder.Encode(&batches[i]); err != nil {
			return nil, err
		}
		job.ids[i] = id{batch.ModelUUID, batch.UUID}
		job.digests[i] = sha256.Sum256(lines.Bytes()[start:])
		job.ends[i] = lines.Len()
	}
	job.lines = lines.Bytes()
	return job, nil
}

func response(batches []metrics.MetricBatch) metrics.Response {
	responses := metrics.EnvironmentResponses{}
	for _, batch := range batches {
		responses.Ack(batch.ModelUUID, batch.UUID)
		responses.SetUnitStatus(batch.ModelUUID, batch.UnitName, "GREEN", "")
	}
	for model := range responses {
		responses.SetModelStatus(model, "GREEN", "")
	}
	return metrics.Response{UUID: rand.Text(), EnvResponses: responses}
}

// A ledger is the file of what was recorded, and which ids that was.
type ledger struct {
	file     *os.File
	waiting  chan *job
	recorded map[id]digest
	count    atomic.Int64
}

// Run records group after group: all that waits, one write, one sync, then the answers.
func (l *ledger) run() {
	var bytes []byte
	for first := range l.waiting {
		group := []*job{first}
		n := len(first.ids)
	fill:
		for n < groupBatchesMax {
			select {
			case job := <-l.waiting:
				group = append(group, job)
				n += len(job.ids)
			default:
				break fill
			}
		}
		bytes = l.add(bytes[:0], group)
		err := l.write(bytes)
		for _, job := range group {
			job.done <- err
		}
		if err != nil {
			fail(err) // What the file holds now is not known.
		}
	}
}

func (l *ledger) add(bytes []byte, group []*job) []byte {
	n := 0
	for _, job := range group {
		start := 0
		for i, id := range job.ids {
			known, ok := l.recorded[id]
			if !ok {
				l.recorded[id] = job.digests[i]
				bytes = append(bytes, job.lines[start:job.ends[i]]...)
				n++
			} else if known != job.digests[i] {
				fmt.Fprintf(os.Stderr, "batch %q has other content than the one recorded\n", id.batch)
			}
			start = job.ends[i]
		}
	}
	l.count.Add(int64(n))
	return bytes
}

func (l *ledger) write(bytes []byte) error {
	if len(bytes) == 0 {
		return nil
	}
	if _, err := l.file.Write(bytes); err != nil {
		return err
	}
	return syscall.Fdatasync(int(l.file.Fd()))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "collector:", err)
	os.Exit(1)
}
