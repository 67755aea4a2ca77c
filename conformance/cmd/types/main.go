// Command types describes the wire types of the romulus it was built with. The
// committed types.txt comes from the real romulus, so writing it with the
// stand-in is refused.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/tollgate-metering/tollgate/conformance/internal/describe"
)

func main() {
	out := flag.String("out", "", "file to write; without it the description is printed")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "types: failed to", err)
		os.Exit(1)
	}
}

func run(out string) error {
	if out == "" {
		_, err := fmt.Print(describe.Types())
		return err
	}
	from, isStandIn, err := describe.Romulus()
	if err != nil {
		return err
	}
	if isStandIn {
		return fmt.Errorf("write %s: this program was built with the stand-in, and the file must come from the real romulus; "+
			"run TOLLGATE_ROMULUS=/path/to/checkout go run ./cmd/with-romulus go run ./cmd/types -out %s", out, out)
	}
	if err := os.WriteFile(out, []byte(describe.Types()), 0o666); err != nil {
		return err
	}
	fmt.Printf("wrote %s from %s\n", out, from)
	return nil
}
