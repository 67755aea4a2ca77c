// Command deliver posts batches to a collector that it starts, and checks that
// each is recorded exactly once:
//
//	go run ./cmd/deliver -tollgate ../target/debug/tollgate
//	go run ./cmd/deliver -tollgate ../target/debug/tollgate -kill -kills 20
//
// It exits 1 when a promise is broken, and then leaves the ledger where it says.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/tollgate-metering/tollgate/conformance/internal/deliver"
)

func main() {
	tollgate := flag.String("tollgate", "", "path of the program")
	nBatches := flag.Int("n", 100_000, "batches to deliver")
	kill := flag.Bool("kill", false, "kill the collector at random moments and start it again")
	nKills := flag.Int("kills", 10, "how often, with -kill")
	seed := flag.Uint64("seed", 1, "seed of the batches and of the moments")
	flag.Parse()
	if flag.NArg() > 0 || *tollgate == "" || *nBatches < 1 || *nKills < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if !*kill {
		*nKills = 0
	}
	if err := run(deliver.Program{Path: *tollgate}, *nBatches, *nKills, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "deliver: failed to", err)
		os.Exit(1)
	}
}

func run(program deliver.Program, nBatches, nKills int, seed uint64) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	folder, err := os.MkdirTemp("", "tollgate-deliver-")
	if err != nil {
		return err
	}
	figures, err := deliver.Run(ctx, program, deliver.Settings{
		NBatches: nBatches,
		NKills:   nKills,
		Seed:     seed,
		Folder:   folder,
		Told:     func(what string) { fmt.Fprintln(os.Stderr, what) },
	})
	if figures.Posting > 0 {
		fmt.Println(figures)
	}
	if err != nil {
		return fmt.Errorf("deliver every batch exactly once (seed %d; the ledger is left in %s): %w", seed, folder, err)
	}
	fmt.Printf("every batch was acknowledged and recorded exactly once, seed %d\n", seed)
	return os.RemoveAll(folder)
}
