// Command codec decodes or encodes one document each time it is asked to, and says how long a pass took.
//
// The codec benchmark drives it: one line on standard input asks for a turn, one line on standard output answers with
// the nanoseconds of one pass and a figure that only real work gives.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/juju/romulus/wireformat/metrics"
)

const passes = 4

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: codec decode|encode DOCUMENT"))
	}
	document, err := os.ReadFile(os.Args[2])
	if err != nil {
		fail(err)
	}
	var batches []metrics.MetricBatch
	if err := json.Unmarshal(document, &batches); err != nil {
		fail(err)
	}
	work := func() int { return decode(document) }
	if os.Args[1] == "encode" {
		work = func() int { return encode(batches) }
	}
	turns := bufio.NewScanner(os.Stdin)
	for turns.Scan() {
		checked := 0
		start := time.Now()
		for range passes {
			checked = work()
		}
		fmt.Println(time.Since(start).Nanoseconds()/passes, checked)
	}
}

func decode(document []byte) int {
	var batches []metrics.MetricBatch
	if err := json.Unmarshal(document, &batches); err != nil {
		fail(err)
	}
	checked := 0
	for _, batch := range batches {
		checked += len(batch.UUID) + len(batch.Metrics)
	}
	return checked
}

func encode(batches []metrics.MetricBatch) int {
	document, err := json.Marshal(batches)
	if err != nil {
		fail(err)
	}
	return len(document)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "codec:", err)
	os.Exit(1)
}
