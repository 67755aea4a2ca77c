package deliver

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// killNowAndThen kills the server at random moments of the run and starts it
// again on the same ledger.
func (r *run) killNowAndThen(ctx context.Context) error {
	random := rand.New(rand.NewPCG(r.settings.Seed, 0x6b696c6c))
	nPostsSeen := 0
	for kill := range r.settings.NKills {
		// The kills are spread over the run, each some milliseconds after a post has begun.
		if err := r.awaitPosts(ctx, max(nPostsSeen+1, r.nChunks()*kill/r.settings.NKills)); err != nil {
			return err
		}
		time.Sleep(momentBeforeKill(random))
		server, _ := r.current()
		if err := server.endedBy(); err != nil {
			return fmt.Errorf("keep the collector running: it ended by itself: %w\n%s", err, server.log)
		}
		r.lock.Lock()
		r.isDown = true
		r.figures.NKills++
		r.lock.Unlock()
		server.kill()
		if random.IntN(3) == 0 {
			if err := r.program.startAndKill(ctx, r.ledger, time.Duration(random.IntN(20_000))*time.Microsecond); err != nil {
				return fmt.Errorf("restart after kill %d: %w", kill+1, err)
			}
			r.count(func(f *Figures) { f.NKillsStarting++ })
		}
		r.lock.Lock()
		nPostsSeen = r.figures.NPosts
		r.lock.Unlock()
		if r.settings.Told != nil {
			r.settings.Told(fmt.Sprintf("killed the collector, %d of %d", kill+1, r.settings.NKills))
		}
		if err := r.startServer(ctx); err != nil {
			return fmt.Errorf("restart after kill %d: %w", kill+1, err)
		}
	}
	return nil
}

// momentBeforeKill is as likely below a millisecond as in the tenths of a second:
// how long a post takes depends on the build and the disk, and each of its steps
// should be hit.
func momentBeforeKill(random *rand.Rand) time.Duration {
	const shortest, longest = 200 * time.Microsecond, 800 * time.Millisecond
	return time.Duration(float64(shortest) * math.Pow(float64(longest)/float64(shortest), random.Float64()))
}

// awaitPosts waits until so many posts have begun.
func (r *run) awaitPosts(ctx context.Context, nPosts int) error {
	for {
		r.lock.Lock()
		isReached := r.figures.NPosts >= nPosts
		r.lock.Unlock()
		if isReached {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}
