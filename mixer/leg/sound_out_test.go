package leg

import (
	"bytes"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"rendezvous/mixer/audio/red"
)

func TestCopies(t *testing.T) {
	for _, c := range []struct {
		loss, available int
		measured        bool
		want            int
	}{
		{0, 0, false, 0}, {1, 0, false, 0}, {2, 0, false, 1}, {9, 0, false, 1}, {10, 0, false, 2}, {100, 0, false, 2},
		{20, 100_000, false, 2}, {20, 100_000, true, 0}, {20, 200_000, true, 1}, {20, 1_000_000, true, 2}, {5, 200_000, true, 1},
	} {
		if got := copies(c.loss, c.available, c.measured); got != c.want {
			t.Errorf("at %d %% loss and %d bit/s (measured: %v): %d copies, not %d", c.loss, c.available, c.measured, got, c.want)
		}
	}
}

func TestSoundRepeatsWhatWasSent(t *testing.T) {
	var o soundOut
	opus := Codec{Name: "opus", PayloadType: 111, ClockRate: 48000, RED: 63}
	send := func(codec Codec, payload string, timestamp uint32, copies int) (uint8, []red.Block) {
		t.Helper()
		pt, b := o.wrap(codec, []byte(payload), timestamp, copies)
		if pt != codec.RED {
			return pt, []red.Block{{PayloadType: pt, Payload: b}}
		}
		blocks, err := red.Split(nil, b)
		if err != nil {
			t.Fatal(err)
		}
		return pt, blocks
	}
	expect := func(pt uint8, blocks []red.Block, wantType uint8, want ...string) {
		t.Helper()
		if pt != wantType || len(blocks) != len(want) {
			t.Fatalf("type %d, blocks %v; expected type %d, %v", pt, blocks, wantType, want)
		}
		for i, w := range want {
			if b := blocks[i]; string(b.Payload) != w || b.PayloadType != 111 && b.PayloadType != 112 || b.Offset != uint32(960*(len(want)-1-i)) {
				t.Errorf("block %d: %v, expected %s", i, b, w)
			}
		}
	}
	pt, b := send(opus, "a", 0, 1)
	expect(pt, b, 111, "a") // there was nothing to repeat
	pt, b = send(opus, "b", 960, 0)
	expect(pt, b, 111, "b")
	pt, b = send(opus, "c", 1920, 1)
	expect(pt, b, 63, "b", "c")
	pt, b = send(opus, "d", 2880, 2)
	expect(pt, b, 63, "b", "c", "d")
	pt, b = send(opus, "e", 2880+48000, 2) // what is so long ago has no place in the header
	expect(pt, b, 63, "e")
	other := opus
	other.PayloadType = 112
	pt, b = send(other, "f", 2880+48960, 2) // of another type
	expect(pt, b, 112, "f")
}

func TestLossThatWasAskedFor(t *testing.T) {
	var o soundOut
	seq := uint16(65500)
	for second := range 4 {
		for i := range 50 {
			if i%10 == 0 { // a tenth, each asked for twice
				n := &rtcp.TransportLayerNack{Nacks: []rtcp.NackPair{{PacketID: seq}}}
				o.note(n)
				o.note(n)
			}
			seq++
			loss := o.lossPercent(3)
			if second > 0 && loss != 10 {
				t.Fatalf("in second %d: %d %%", second, loss)
			}
		}
	}
	for range 100 * 50 {
		o.lossPercent(0)
	}
	if loss := o.lossPercent(0); loss != 0 {
		t.Errorf("%d %% are left", loss)
	}
}

func TestRepetitionsAllocateNothing(t *testing.T) {
	var o soundOut
	opus := Codec{Name: "opus", PayloadType: 111, RED: 63}
	payload, ts := bytes.Repeat([]byte{1}, 160), uint32(0)
	if n := testing.AllocsPerRun(100, func() {
		ts += 960
		o.wrap(opus, payload, ts, 2)
	}); n > 0 {
		t.Errorf("%.1f allocations per packet", n)
	}
}

func TestSoundRate(t *testing.T) {
	var r soundRate
	start := time.Unix(1e9, 0)
	for _, c := range []struct {
		after     time.Duration
		available int
		measured  bool
		want      int
	}{
		{0, 0, false, 32_000},
		{1 * time.Second, 500_000, true, 32_000},
		{2 * time.Second, 100_000, true, 20_000},
		{3 * time.Second, 500_000, true, 20_000}, // too soon
		{7 * time.Second, 150_000, true, 20_000}, // hardly more
		{8 * time.Second, 230_000, true, 32_000},
		{9 * time.Second, 60_000, true, 12_000}, // two at once
		{20 * time.Second, 130_000, true, 20_000},
		{21 * time.Second, 500_000, true, 20_000},
		{26 * time.Second, 500_000, true, 32_000},
		{27 * time.Second, 60_000, true, 12_000},
		{28 * time.Second, 0, false, 32_000}, // the estimate is long ago
	} {
		if got := r.choose(c.available, c.measured, start.Add(c.after)); got != c.want {
			t.Errorf("after %v at %d bit/s: %d bit/s, not %d", c.after, c.available, got, c.want)
		}
	}
}
