// Command interop holds the credentials of tollgate against gopkg.in/macaroon.v2
// and authorizes against a collector as Juju's clients do:
//
//	go run ./cmd/interop -tollgate ../../target/debug/tollgate
//
// It exits 1 when the two disagree.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/tollgate-metering/tollgate/conformance/credentials/internal/interop"
)

func main() {
	tollgate := flag.String("tollgate", "", "path of the program")
	flag.Parse()
	if flag.NArg() > 0 || *tollgate == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*tollgate); err != nil {
		fmt.Fprintln(os.Stderr, "interop: failed to", err)
		os.Exit(1)
	}
}

func run(tollgate string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	path, err := filepath.Abs(tollgate)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "tollgate-credentials-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	return interop.Run(ctx, path, folder, func(what string) { fmt.Println(what) })
}
