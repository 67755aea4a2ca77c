package deliver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/juju/romulus/wireformat/metrics"
)

// A fake collector, with a fault planted in it when there is one to plant.
type fault string

const (
	noFault             fault = ""
	losesAcknowledged   fault = "acknowledges before it writes, and does not write everything"
	forgetsDuplicates   fault = "records a batch again when it is sent again after a restart"
	recordsTwins        fault = "records both when a batch is sent twice at once"
	mixesModels         fault = "takes batches with one uuid in two models for the same"
	acknowledgesWrong   fault = "acknowledges under another model"
	acknowledgesForeign fault = "acknowledges an older batch"
	acknowledgesTwice   fault = "acknowledges a batch twice in one answer"
	omitsAcknowledged   fault = "does not acknowledge one batch"
	answersCreated      fault = "answers 201"
	answersText         fault = "answers as text"
	answersNonsense     fault = "answers with something that is not JSON"
	badStatus           fault = "sets a status that no controller takes"
	changesBytes        fault = "exports other bytes than were sent"
	addsLine            fault = "exports a batch that nobody sent"
	cutsExport          fault = "exports a last line without its end"
	exportFails         fault = "exports everything and exits 1"
	diesByItself        fault = "ends in the middle of the run"
	failsToStop         fault = "exits 3 on SIGTERM"
	talksTooMuch        fault = "prints a second line"
	neverReady          fault = "prints something else than ready"
	sometimesTryLater   fault = "sometimes answers 503 with Retry-After, which is right"
)

// actAsTollgate makes this test binary act as the program under test.
const actAsTollgate = "TEST_ACT_AS_TOLLGATE"

func fakeMain(arguments []string, planted fault) int {
	switch arguments[0] {
	case "serve":
		return serve(arguments[2], planted)
	case "export":
		return export(arguments[1], planted)
	}
	return 2
}

// fake records each batch as a line of one file.
type fake struct {
	lock    sync.Mutex
	file    *os.File
	seen    map[string]bool
	planted fault
	nPosts  int
}

func serve(ledger string, planted fault) int {
	if err := os.MkdirAll(ledger, 0o777); err != nil {
		return 1
	}
	path := filepath.Join(ledger, "lines")
	f := &fake{seen: map[string]bool{}, planted: planted}
	whole, _ := os.ReadFile(path)
	whole = whole[:bytes.LastIndexByte(whole, '\n')+1]
	if planted != forgetsDuplicates {
		for line := range bytes.Lines(whole) {
			var batch metrics.MetricBatch
			if json.Unmarshal(line, &batch) != nil {
				return 1
			}
			f.seen[f.key(&batch)] = true
		}
	}
	if err := os.WriteFile(path, whole, 0o666); err != nil {
		return 1
	}
	var err error
	if f.file, err = os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o666); err != nil {
		return 1
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 1
	}
	server := &http.Server{Handler: f}
	go server.Serve(listener)
	terminated, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if planted == neverReady {
		fmt.Println("listening")
	}
	fmt.Printf("ready listen=%s admin=127.0.0.1:1 ledger=%s\n", listener.Addr(), ledger)
	if planted == talksTooMuch {
		fmt.Println("hello")
	}
	<-terminated.Done()
	server.Shutdown(context.Background())
	if planted == failsToStop {
		return 3
	}
	return 0
}

func (f *fake) key(batch *metrics.MetricBatch) string {
	if f.planted == mixesModels {
		return batch.UUID
	}
	return batch.ModelUUID + "\x00" + batch.UUID
}

func (f *fake) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	var batches []metrics.MetricBatch
	if request.Method != http.MethodPost || request.URL.Path != "/metrics" || json.NewDecoder(request.Body).Decode(&batches) != nil {
		http.Error(w, "no", http.StatusBadRequest)
		return
	}
	response := metrics.Response{UUID: "answer", EnvResponses: metrics.EnvironmentResponses{}}
	f.lock.Lock()
	f.nPosts++
	nPosts := f.nPosts
	isRecorded := true
	if f.planted == sometimesTryLater && nPosts%3 == 0 {
		isRecorded = false
	}
	if isRecorded {
		f.record(batches, response.EnvResponses)
	}
	f.lock.Unlock()
	if f.planted == diesByItself && nPosts == 3 {
		os.Exit(9)
	}
	if !isRecorded {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if f.planted == answersText {
		w.Header().Set("Content-Type", "text/plain")
	}
	if f.planted == answersCreated {
		w.WriteHeader(http.StatusCreated)
	}
	if f.planted == answersNonsense {
		io.WriteString(w, "<html>")
		return
	}
	json.NewEncoder(w).Encode(response)
}

// record writes the batches that are new and acknowledges all of them.
func (f *fake) record(batches []metrics.MetricBatch, responses metrics.EnvironmentResponses) {
	var lines bytes.Buffer
	for i := range batches {
		batch := &batches[i]
		if !f.seen[f.key(batch)] || f.planted == recordsTwins {
			f.seen[f.key(batch)] = true
			line, _ := json.Marshal(batch)
			lines.Write(append(line, '\n'))
		}
		responses.Ack(batch.ModelUUID, batch.UUID)
	}
	first, last := &batches[0], &batches[len(batches)-1]
	switch f.planted {
	case losesAcknowledged:
		lines.Truncate(bytes.LastIndexByte(lines.Bytes()[:max(0, lines.Len()-1)], '\n') + 1)
	case acknowledgesWrong:
		other := first.ModelUUID
		for i := range batches {
			if batches[i].ModelUUID != first.ModelUUID {
				other = batches[i].ModelUUID
			}
		}
		responses.Ack(other, first.UUID)
	case acknowledgesForeign:
		responses.Ack(first.ModelUUID, "from an earlier request")
	case acknowledgesTwice:
		responses.Ack(last.ModelUUID, last.UUID)
	case omitsAcknowledged:
		environment := responses[first.ModelUUID]
		environment.AcknowledgedBatches = environment.AcknowledgedBatches[1:]
		responses[first.ModelUUID] = environment
	case badStatus:
		responses.SetUnitStatus(first.ModelUUID, "storage/0", "green", "")
	}
	f.file.Write(lines.Bytes())
}

func export(ledger string, planted fault) int {
	whole, err := os.ReadFile(filepath.Join(ledger, "lines"))
	if err != nil {
		return 1
	}
	switch planted {
	case changesBytes:
		whole = bytes.Replace(whole, []byte(`\u003c`), []byte("<"), 1)
	case addsLine:
		whole = append(whole, `{"uuid":"stranger","env-uuid":"m"}`+"\n"...)
	case cutsExport:
		whole = whole[:len(whole)-10]
	}
	out := bufio.NewWriter(os.Stdout)
	io.Copy(out, strings.NewReader(string(whole)))
	if out.Flush() != nil || planted == exportFails {
		return 1
	}
	return 0
}
