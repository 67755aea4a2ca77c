// Command sender compares the requests of a Juju controller's send loop, acting on
// romulus' types, with those of tollgate send, byte for byte:
//
//	go run ./cmd/sender -tollgate ../target/release/tollgate
//
// It exits 1 when they differ.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/tollgate-metering/tollgate/conformance/internal/sender"
)

func main() {
	tollgate := flag.String("tollgate", "", "path of the program")
	flag.Parse()
	if flag.NArg() > 0 || *tollgate == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*tollgate); err != nil {
		fmt.Fprintln(os.Stderr, "sender: failed to", err)
		os.Exit(1)
	}
}

func run(tollgate string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for _, test := range []struct{ n, failures int }{{1, 0}, {1000, 0}, {2500, 0}, {2500, 2}} {
		folder, err := os.MkdirTemp("", "tollgate-sender-")
		if err != nil {
			return err
		}
		n, err := sender.Compare(ctx, tollgate, folder, test.n, test.failures)
		if err != nil {
			return fmt.Errorf("send %d batches alike, with %d failures first (left in %s): %w", test.n, test.failures, folder, err)
		}
		fmt.Printf("%d batches with %d failures first: the same %d requests\n", test.n, test.failures, n)
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	return nil
}
