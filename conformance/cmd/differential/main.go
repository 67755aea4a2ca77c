// Command differential compares `tollgate check` with the reference on random documents:
//
//	go run ./cmd/differential -tollgate ../target/debug/tollgate -n 200000 -seed 1
//	go run ./cmd/differential -self-test
//
// It exits 1 when the two differ on any document, when the program fails, or
// when a run that is long enough never reached one of the rules.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/tollgate-metering/tollgate/conformance/internal/differential"
)

const (
	// In this many documents the rarest rule is reached with near certainty.
	nDocumentsForAllPoints = 50_000
	// Shortening more differences than this would only repeat the same findings.
	nShortened   = 5
	shortenTime  = 20 * time.Second
	stallTimeout = 30 * time.Second
)

func main() {
	tollgate := flag.String("tollgate", "", "path of the program to compare")
	nDocuments := flag.Int("n", 200_000, "documents to compare")
	seed := flag.Uint64("seed", 1, "seed of the random documents")
	selfTest := flag.Bool("self-test", false, "plant mistakes in a stand-in and see that each is noticed")
	flag.Parse()
	if flag.NArg() > 0 || *nDocuments < 1 || (*tollgate == "") != *selfTest {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *selfTest {
		err = differential.SelfTest(ctx, *seed, func(what string) { fmt.Println(what) })
	} else {
		err = compare(ctx, differential.Program{Path: *tollgate}, *nDocuments, *seed)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "differential: failed to", err)
		os.Exit(1)
	}
}

func compare(ctx context.Context, program differential.Program, nDocuments int, seed uint64) error {
	start := time.Now()
	settings := differential.Settings{NDocuments: nDocuments, Seed: seed, Stall: stallTimeout, NDifferencesKept: nShortened}
	report, runErr := differential.Run(ctx, program, settings)
	for i, difference := range report.Differences {
		if i < nShortened && runErr == nil {
			differential.Shorten(ctx, program, difference, shortenTime)
		}
	}
	if _, err := report.WriteTo(os.Stdout); err != nil {
		return err
	}
	fmt.Printf("seed %d, %.1f s\n", seed, time.Since(start).Seconds())
	switch unreached := report.Unreached(); {
	case runErr != nil:
		return runErr
	case report.NDifferences > 0:
		return fmt.Errorf("agree with the reference on %d of %d documents", report.NDifferences, report.NDocuments)
	case len(unreached) > 0 && report.NDocuments >= nDocumentsForAllPoints:
		return fmt.Errorf("reach %v in %d documents", unreached, report.NDocuments)
	}
	return nil
}
