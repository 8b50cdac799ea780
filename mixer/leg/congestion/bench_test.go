package congestion

import (
	"testing"
	"time"
)

// A second of a caller with sound and the best picture: some 250 packets, and a feedback each 75 ms.
func BenchmarkSecond(b *testing.B) {
	p := newPath(b, open)
	p.run(5 * time.Second)
	b.ReportAllocs()
	for b.Loop() {
		p.queued, p.targets, p.sent = p.queued[:0], p.targets[:0], p.sent[:0]
		p.run(time.Second)
	}
}
