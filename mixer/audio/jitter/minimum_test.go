package jitter_test

import (
	"testing"
	"time"

	"rendezvous/mixer/audio/jitter"
)

// late delays what is sent from the third second on.
func late(packets []sent, by time.Duration) []sent {
	for i := range packets {
		if packets[i].at > 3*time.Second {
			packets[i].at += by
		}
	}
	return packets
}

// A path that becomes longer for all packets makes the sound later by just that, once the fastest packets are known to
// be slower: it is not taken for jitter besides.
func TestLongerPathIsNotJitter(t *testing.T) {
	for _, by := range []time.Duration{0, 50 * time.Millisecond, 200 * time.Millisecond} {
		o := listen(t, late(stream(500, frame), by), jitter.Config{})
		if most := int((by + 60*time.Millisecond) * 48 / time.Millisecond); o.delay > most {
			t.Errorf("%v later on the way, the sound is %d ms later in the end", by, o.delay/48)
		}
	}
}

// A wait that is asked for is kept, gradually, and given up again.
func TestSetMinimum(t *testing.T) {
	b := jitter.New(jitter.Config{})
	start := time.Unix(1e9, 0)
	var p jitter.Packet
	fifo, next := 0, 0
	packets := stream(3500, frame)
	waits := map[int]time.Duration{} // at the end of each part
	for now := 7 * time.Millisecond; now < 70*time.Second; now += 20 * time.Millisecond {
		part := int(min(now/(20*time.Second), 2))
		b.SetMinimum([]time.Duration{0, 150 * time.Millisecond, time.Hour}[part])
		if part == 2 && now > 55*time.Second {
			b.SetMinimum(0)
		}
		for ; next < len(packets) && packets[next].at <= now; next++ {
			b.Push(&packets[next].p, start.Add(packets[next].at))
		}
		for fifo < frame {
			action, n := b.Pull(start.Add(now), frame-fifo, &p)
			if action == jitter.Idle {
				n = frame
			}
			fifo += n
		}
		if excess := b.Excess(fifo % frame); excess != 0 {
			fifo += map[bool]int{true: -240, false: 240}[excess > 0]
			b.Corrected()
		}
		fifo -= frame
		if now < 54*time.Second || now > 69*time.Second {
			waits[part+map[bool]int{true: 1}[now > 69*time.Second]] = p.Waited
		}
	}
	for part, want := range []time.Duration{20, 160, 410, 30} {
		want *= time.Millisecond
		if got := waits[part]; got < want-25*time.Millisecond || got > want+30*time.Millisecond {
			t.Errorf("in part %d a packet waits %v, want about %v", part, got, want)
		}
	}
}
