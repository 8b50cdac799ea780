package dht_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"rendezvous/dht"
	"rendezvous/dht/dhttest"
	"rendezvous/internal/eventually"
)

// bucketSize is how many nodes a bucket of a table holds.
const bucketSize = 8

// A hundred nodes of ours: what one puts, the others find; also when a third of them stops at once.
func TestHundredNodes(t *testing.T) {
	const (
		size   = 100
		values = 100
		gets   = 400
	)
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Second)
	defer cancel()
	nodes := make([]*dht.Node, size)
	for i := range nodes {
		cfg := dht.Config{}
		if i > 0 {
			cfg.Bootstrap = []string{dhttest.Addr(nodes[rand.IntN(i)])}
		}
		nodes[i] = dhttest.Start(t, cfg)
	}
	for _, n := range nodes {
		if err := n.WaitConnected(ctx); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	waitSettled(t, ctx, nodes)
	t.Logf("settled %v after the last one connected", time.Since(began).Round(time.Millisecond))
	inParallel(values, func(i int) {
		if err := nodes[i%size].Put(ctx, dht.KeyOfText(fmt.Sprint("network value ", i)), &dht.Value{Data: fmt.Appendf(nil, "value %d", i)}); err != nil {
			t.Error(err)
		}
	})

	if share := findShare(ctx, nodes, gets, values); share < 0.99 {
		t.Errorf("%.1f %% of gets found their value", 100*share)
	} else {
		t.Logf("%.1f %% of gets found their value", 100*share)
	}

	// No goodbye: the sockets of a third are closed, and that is all the others notice.
	rand.Shuffle(size, func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	inParallel(size/3, func(i int) { nodes[i].Close() })
	stopped := time.Now()
	within, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	share := findShare(within, nodes[size/3:], gets, values)
	t.Logf("%.1f %% after a third stopped, in %v", 100*share, time.Since(stopped).Round(time.Second))
	if share < 0.95 {
		t.Errorf("%.1f %% of gets found their value after a third of the nodes stopped", 100*share)
	}
}

// waitSettled waits until every node knows the one that is nearest to it and twenty others: it has joined then, not only
// begun to. Where more than a bucket holds are as far away as the nearest, eight of those do as well: a table keeps
// no more, if none is nearer.
func waitSettled(t *testing.T, ctx context.Context, nodes []*dht.Node) {
	t.Helper()
	ids := make([]dht.Key, len(nodes))
	for i, n := range nodes {
		ids[i] = n.ID()
	}
	for _, n := range nodes {
		slices.SortFunc(ids, func(a, b dht.Key) int { return n.ID().CompareDistance(a, b) })
		eventually.NoError(t, func() error {
			known, err := n.Nodes(ctx)
			if err != nil {
				t.Fatal(err)
			}
			asNear, nearest := 0, false
			for _, k := range known {
				if k.Good && n.ID().CommonBits(k.ID) == n.ID().CommonBits(ids[1]) {
					asNear++
					nearest = nearest || k.ID == ids[1]
				}
			}
			if len(known) > 20 && (nearest || asNear >= bucketSize) {
				return nil
			}
			return fmt.Errorf("node %s knows %d others, not its neighbour", n.ID(), len(known))
		})
	}
}

// findShare has random nodes look for random values and returns which part is found.
func findShare(ctx context.Context, nodes []*dht.Node, gets, values int) float64 {
	var mu sync.Mutex
	found := 0
	inParallel(gets, func(int) {
		i := rand.IntN(values)
		for v, err := range nodes[rand.IntN(len(nodes))].Get(ctx, dht.KeyOfText(fmt.Sprint("network value ", i))) {
			if err == nil && string(v.Data) == fmt.Sprintf("value %d", i) {
				mu.Lock()
				found++
				mu.Unlock()
				break
			}
		}
	})
	return float64(found) / float64(gets)
}

// inParallel runs do for 0 to n-1, twenty at a time.
func inParallel(n int, do func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, 20)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
	wg.Wait()
}
