package dht

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Of a hundred nodes that join at the same time each gets to know its neighbours within a minute, though
// those of one neighbourhood may have come through nodes that knew one half of it each. Without asking nodes far away
// one network in eleven fell apart in this way, for an hour at least; so several are made.
func TestNeighboursWhoJoinAtOnce(t *testing.T) {
	for range 8 {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			nodes := make([]*Node, 100)
			m := newMemNet()
			for i := range nodes {
				cfg := Config{}
				if i > 0 {
					cfg.Bootstrap = []string{nodes[rand.IntN(i)].testAddr()}
				}
				nodes[i] = startMem(t, m, cfg)
			}
			defer func() { closeAll(t, nodes...) }()
			ids := make([]Key, len(nodes))
			for i, n := range nodes {
				ids[i] = n.ID()
			}
			for _, n := range nodes {
				slices.SortFunc(ids, func(a, b Key) int { return n.ID().CompareDistance(a, b) })
				for !knowsNeighbours(t, n, ids[1]) {
					select {
					case <-time.After(100 * time.Millisecond):
					case <-ctx.Done():
						t.Fatalf("node %s does not know its neighbours", n.ID())
					}
				}
			}
		})
	}
}

// knowsNeighbours tells whether a node knows the nearest of all, or as many as a bucket holds of those who are as
// far away: a table keeps no more.
func knowsNeighbours(t *testing.T, n *Node, nearest Key) bool {
	t.Helper()
	known, err := n.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	asNear := 0
	for _, k := range known {
		if k.Good && k.ID == nearest {
			return true
		}
		if k.Good && n.ID().CommonBits(k.ID) == n.ID().CommonBits(nearest) {
			asNear++
		}
	}
	return asNear >= bucketSize
}
