package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"rendezvous/dht"
	"rendezvous/internal/lab/opendht"
)

// timings is how long the operations of one node took.
type timings struct {
	put, get           []time.Duration
	putBurst, getBurst time.Duration
}

// subject is a node being measured.
type subject interface {
	put(ctx context.Context, key, text string) (time.Duration, error)
	get(ctx context.Context, key string) (time.Duration, error)
	// bursts do all at once and return when the last is done.
	putAll(ctx context.Context, keys []string) (time.Duration, error)
	getAll(ctx context.Context, keys []string) (time.Duration, error)
}

// pause keeps single operations below what dhtnodes take from one address in a second.
const pause = 8 * time.Millisecond

// time measures the subjects turn by turn, so that what else the machine does strikes all of them.
func (p plan) time(ctx context.Context, subjects ...subject) ([]timings, error) {
	all := make([]timings, len(subjects))
	keys := func(n int) [][]string {
		sets := make([][]string, len(subjects))
		for i := range sets {
			run := fmt.Sprintf("bench%d-", rand.Uint64())
			for k := range n {
				sets[i] = append(sets[i], run+strconv.Itoa(k))
			}
		}
		return sets
	}
	single, burst := keys(p.ops), keys(p.burst)
	for k := range p.ops {
		for i, s := range subjects {
			d, err := s.put(ctx, single[i][k], "some-text-to-be-put-on-the-table")
			if err != nil {
				return nil, err
			}
			all[i].put = append(all[i].put, d)
			time.Sleep(pause)
		}
	}
	for k := range p.ops {
		for i, s := range subjects {
			d, err := s.get(ctx, single[i][k])
			if err != nil {
				return nil, err
			}
			all[i].get = append(all[i].get, d)
			time.Sleep(pause)
		}
	}
	for i, s := range subjects {
		var err error
		time.Sleep(2 * time.Second) // so that the burst has the whole second's allowance
		if all[i].putBurst, err = s.putAll(ctx, burst[i]); err != nil {
			return nil, err
		}
		time.Sleep(2 * time.Second)
		if all[i].getBurst, err = s.getAll(ctx, burst[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// ourSubject is a node of ours, in this process.
type ourSubject struct{ n *dht.Node }

func (s ourSubject) put(ctx context.Context, key, text string) (time.Duration, error) {
	start := time.Now()
	err := s.n.Put(ctx, dht.KeyOfText(key), &dht.Value{Data: []byte(text), UserType: "text/plain"})
	return time.Since(start), err
}

func (s ourSubject) get(ctx context.Context, key string) (time.Duration, error) {
	start := time.Now()
	found := 0
	for _, err := range s.n.Get(ctx, dht.KeyOfText(key)) {
		if err != nil {
			return 0, err
		}
		found++
	}
	if found == 0 {
		return 0, fmt.Errorf("nothing at %s", key)
	}
	return time.Since(start), nil
}

func (s ourSubject) putAll(ctx context.Context, keys []string) (time.Duration, error) {
	return atOnce(keys, func(key string) error { _, err := s.put(ctx, key, "x"); return err })
}

func (s ourSubject) getAll(ctx context.Context, keys []string) (time.Duration, error) {
	return atOnce(keys, func(key string) error { _, err := s.get(ctx, key); return err })
}

func atOnce(keys []string, do func(key string) error) (time.Duration, error) {
	start := time.Now()
	errs := make([]error, len(keys))
	var wg sync.WaitGroup
	for i, key := range keys {
		wg.Go(func() { errs[i] = do(key) })
	}
	wg.Wait()
	took := time.Since(start)
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return took, errs[i]
	}
	return took, nil
}

// dhtnodeSubject is a dhtnode. Single operations are as long as it says itself; how long bursts take is seen from
// outside, when it has said that the last is done.
type dhtnodeSubject struct{ n *opendht.Node }

var took = regexp.MustCompile(`took ([0-9.e+-]+) (us|mus|µs|ms|s)\b`)

func dhtnodeTime(line string) (time.Duration, error) {
	m := took.FindStringSubmatch(line)
	if m == nil {
		return 0, fmt.Errorf("no time in %q", line)
	}
	x, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, err
	}
	unit := map[string]time.Duration{"ms": time.Millisecond, "s": time.Second}[m[2]]
	if unit == 0 {
		unit = time.Microsecond
	}
	return time.Duration(x * float64(unit)), nil
}

func (s dhtnodeSubject) put(ctx context.Context, key, text string) (time.Duration, error) {
	m, err := s.n.Ask(ctx, `Put: success.*`, "p %s %s", key, text)
	if err != nil {
		return 0, err
	}
	return dhtnodeTime(m[0])
}

func (s dhtnodeSubject) get(ctx context.Context, key string) (time.Duration, error) {
	m, err := s.n.Ask(ctx, `Get: completed.*`, "g %s", key)
	if err != nil {
		return 0, err
	}
	return dhtnodeTime(m[0])
}

func (s dhtnodeSubject) putAll(ctx context.Context, keys []string) (time.Duration, error) {
	return s.burst(ctx, keys, `Put: success`, func(key string) string { return "p " + key + " x" })
}

func (s dhtnodeSubject) getAll(ctx context.Context, keys []string) (time.Duration, error) {
	return s.burst(ctx, keys, `Get: completed`, func(key string) string { return "g " + key })
}

func (s dhtnodeSubject) burst(ctx context.Context, keys []string, done string, command func(string) string) (time.Duration, error) {
	mark := s.n.Mark()
	start := time.Now()
	for _, key := range keys {
		if err := s.n.Command("%s", command(key)); err != nil {
			return 0, err
		}
	}
	err := s.n.ExpectCount(ctx, mark, done, len(keys))
	return time.Since(start), err
}

// percentile of durations, which it sorts.
func percentile(all []time.Duration, p int) time.Duration {
	slices.Sort(all)
	return all[min(len(all)-1, len(all)*p/100)]
}

func ms(all []time.Duration, p int) float64 {
	return float64(percentile(all, p).Microseconds()) / 1000
}

func rate(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }
