package interop

import (
	"context"
	"fmt"
)

// Run holds the program at path against macaroon.v2, with its files in folder.
func Run(ctx context.Context, path, folder string, told func(string)) error {
	p, err := newProgram(ctx, path, folder)
	if err != nil {
		return err
	}
	if err := oursInGo(ctx, p); err != nil {
		return fmt.Errorf("have Go verify our credentials: %w", err)
	}
	told("Go verifies our credentials, and we verify what it adds to them")
	if err := theirsHere(ctx, p); err != nil {
		return fmt.Errorf("verify Go's credentials: %w", err)
	}
	told("we verify Go's credentials")
	figures, err := collect(ctx, p)
	if err != nil {
		return fmt.Errorf("authorize against a collector: %w", err)
	}
	told("a collector hands credentials out and wants them: " + figures)
	return nil
}
