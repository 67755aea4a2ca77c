// Command vectors writes the golden vectors of the wire format:
//
//	go run ./cmd/vectors -out ../crates/tollgate-wire/golden
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/tollgate-metering/tollgate/conformance/internal/vectors"
)

func main() {
	out := flag.String("out", "", "folder to write to")
	flag.Parse()
	if *out == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := vectors.Write(*out); err != nil {
		fmt.Fprintln(os.Stderr, "vectors: failed to", err)
		os.Exit(1)
	}
	fmt.Printf("wrote %d vectors to %s\n", len(vectors.All()), *out)
}
