package congestion

import (
	"testing"
	"time"
)

// Whatever is reported, and when, the target stays within its bounds.
func FuzzReports(f *testing.F) {
	f.Add([]byte{1, 10, 200, 3, 9, 255, 0, 1, 2, 3, 4, 90})
	f.Fuzz(func(t *testing.T, b []byte) {
		now := time.Unix(1_800_000_000, 0)
		c := NewReports(Config{Initial: 2_500_000, Min: 60_000, Max: 8_000_000, Now: func() time.Time { return now }})
		c.Want(2_500_000)
		flow, seq := c.Flow(), uint16(65_500)
		for len(b) >= 3 {
			v := int(b[1])<<8 | int(b[2])
			switch b[0] % 6 {
			case 0:
				for range v % 300 {
					flow.Sent(seq, 1100)
					seq++
				}
			case 1:
				c.Echo(time.Duration(v) * time.Millisecond)
			case 2:
				trip := time.Duration(b[2]) * 8 * time.Millisecond
				flow.Report(Report{Highest: uint32(seq) - uint32(b[1]), Lost: b[2], Trip: trip, Sent: trip + time.Duration(b[1])*time.Millisecond})
			case 3:
				c.Bound(float64(v) * 1000)
			case 4:
				c.Broken()
			}
			now = now.Add(time.Duration(b[0]) * 4 * time.Millisecond)
			if s := c.State(); s.Target < 60_000 || s.Target > 8_000_000 || s.Queue < 0 || s.Hold.Sub(now) > holdsAtMost+longestHold {
				t.Fatalf("%+v", s)
			}
			b = b[3:]
		}
	})
}
