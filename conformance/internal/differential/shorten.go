package differential

import (
	"bufio"
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/tollgate-metering/tollgate/conformance/internal/reference"
)

// Shorten looks for a smaller document that the checker and the reference still
// see differently, by leaving out pieces of the one that was found. It does what
// it can within its time; a checker that fails on the way ends the search.
func Shorten(ctx context.Context, checker Checker, found *Difference, timeMax time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeMax)
	defer cancel()
	for best := found; ; {
		candidates := withoutAPiece(best.Document)
		answers, err := ask(ctx, checker, found.Type, candidates)
		if err != nil {
			return
		}
		next := slices.IndexFunc(candidates, func(candidate []byte) bool {
			answer := answers[0]
			answers = answers[1:]
			want := expected(found.Type, candidate)
			if agree(want, answer) {
				return false
			}
			best = &Difference{Type: found.Type, Document: candidate, Want: want, Got: answer}
			return true
		})
		if next < 0 {
			return
		}
		found.Shorter = best
	}
}

// withoutAPiece gives the document without each of its pieces, large ones first.
func withoutAPiece(document []byte) [][]byte {
	const candidatesMax = 2_000
	var candidates [][]byte
	for size := len(document) / 2; size > 0; size /= 2 {
		step := max(1, size/2)
		for from := 0; from+size <= len(document) && len(candidates) < candidatesMax; from += step {
			candidates = append(candidates, slices.Delete(bytes.Clone(document), from, from+size))
		}
	}
	return candidates
}

// ask gets the checker's answers to a few documents.
func ask(ctx context.Context, checker Checker, t reference.Type, documents [][]byte) ([][]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	session, err := checker.Start(ctx, t)
	if err != nil {
		return nil, err
	}
	written := make(chan error, 1)
	go func() {
		_, err := session.Documents.Write(append(bytes.Join(documents, []byte("\n")), '\n'))
		session.Documents.Close()
		written <- err
	}()
	reader := bufio.NewReader(session.Answers)
	answers := make([][]byte, 0, len(documents))
	for range documents {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			cancel()
			<-written
			session.Wait()
			return nil, err
		}
		answers = append(answers, bytes.TrimSuffix(line, []byte("\n")))
	}
	if err := <-written; err != nil {
		return nil, err
	}
	_, err = session.Wait()
	return answers, err
}
