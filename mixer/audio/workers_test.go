package audio

import (
	"runtime"
	"sync/atomic"
	"testing"
)

// TestEachPieceIsDoneOnce shares out work of all kinds and sizes while helpers come late.
func TestEachPieceIsDoneOnce(t *testing.T) {
	var c workers
	var done [tasks][100]atomic.Int32
	for k := range tasks {
		c.do[k] = func(i int) {
			done[k][i].Add(1)
			if i%7 == 0 {
				runtime.Gosched()
			}
		}
	}
	c.start()
	defer c.stop()
	for round := range 20000 {
		k, n := task(round%int(tasks)), round*37%100
		c.run(k, n, 2)
		for i := range done[k] {
			want := int32(0)
			if i < n {
				want = 1
			}
			if got := done[k][i].Swap(0); got != want {
				t.Fatalf("round %d: piece %d of %d of task %d was done %d times", round, i, n, k, got)
			}
		}
	}
}
