package conference

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"rendezvous/conference/settings"
	"rendezvous/internal/eventually"
	"rendezvous/internal/sound"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
)

// phone is a caller's end of a PCMU stream: it sends a tone and keeps what it hears.
type phone struct {
	tone   float64      // Hz; 0 sends silence
	volume atomic.Int32 // the tone's amplitude, of 32767
	done   chan struct{}
	once   sync.Once
	tick   *time.Ticker
	n      int // packets sent

	mu    sync.Mutex
	heard []heardPacket
}

type heardPacket struct {
	at  time.Time
	pcm [160]int16
}

func newPhone(tone float64) *phone {
	p := &phone{tone: tone, done: make(chan struct{}), tick: time.NewTicker(20 * time.Millisecond)}
	p.volume.Store(8000)
	return p
}

func (p *phone) close() { p.once.Do(func() { p.tick.Stop(); close(p.done) }) }

func (p *phone) ReadRTP(b []byte) (int, error) {
	select {
	case <-p.done:
		return 0, io.EOF
	case <-p.tick.C:
	}
	payload := make([]byte, 160)
	for i, v := range sound.SineAt(8000, p.tone, float64(p.volume.Load())/32767, len(payload), p.n*len(payload)) {
		payload[i] = sound.ULaw(v)
	}
	pkt := rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: uint16(p.n), Timestamp: uint32(p.n * 160), SSRC: 1}, Payload: payload}
	p.n++
	return pkt.MarshalTo(b)
}

func (p *phone) WriteRTP(h *rtp.Header, payload []byte) error {
	if h.PayloadType != 0 || len(payload) != 160 {
		return nil
	}
	hp := heardPacket{at: time.Now()}
	for i, c := range payload {
		hp.pcm[i] = sound.UnULaw(c)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = append(p.heard, hp)
	return nil
}

func (p *phone) OnRTCP(func([]rtcp.Packet, error))  {}
func (p *phone) WriteRTCP(pkts []rtcp.Packet) error { return nil }

// loudness is how much of the tone there is in each packet since a time, in dB below full scale.
func (p *phone) loudness(tone float64, since time.Time) (at []time.Time, dB []float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.heard {
		if h.at.Before(since) {
			continue
		}
		at = append(at, h.at)
		dB = append(dB, sound.Decibels(sound.Amplitude(h.pcm[:], tone, 8000)))
	}
	return at, dB
}

// after returns how long after since the tone was above (or below) -50 dB and stayed so.
func (p *phone) after(t *testing.T, tone float64, since time.Time, above bool) time.Duration {
	t.Helper()
	const stay = 10 // packets, 200 ms
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		at, dB := p.loudness(tone, since)
		run := 0
		for i := range dB {
			if (dB[i] > -50) == above {
				run++
			} else {
				run = 0
			}
			if run == stay {
				return at[i-stay+1].Sub(since)
			}
		}
	}
	t.Fatalf("tone above: %v: waited in vain", above)
	return 0
}

// call joins a room with a phone.
func call(t *testing.T, r *Room, name string, role moderation.Role, tone float64) (*Member, *ear, *phone) {
	t.Helper()
	p := newPhone(tone)
	e := newEar()
	pcmu := leg.Codec{Name: "PCMU", PayloadType: 0, ClockRate: 8000, Channels: 1}
	if _, err := e.leg.Attach(leg.Media{Kind: leg.Audio, Label: "main", Transport: p, Receive: []leg.Codec{pcmu}, Send: pcmu, SSRC: 7}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	m, err := r.Join(t.Context(), proven(name, role), e.leg, e)
	if err != nil {
		t.Fatal(err)
	}
	return m, e, p
}

// The host itself keeps a muted, floorless, waiting or removed caller out of the
// others' ears, although they go on sending.
func TestWhoIsHeard(t *testing.T) { synctest.Test(t, testWhoIsHeard) }

func testWhoIsHeard(t *testing.T) {
	h := newHost(t, Config{}, settings.Room{})
	r := h.Rooms()[0]
	mod, _, ear := call(t, r, "mod", moderation.Moderator, 0)
	a, _, _ := call(t, r, "ann", moderation.Speaker, 1000)
	step := func(what string, heard bool, o moderation.Order) {
		t.Helper()
		since := time.Now()
		must(t, mod, o)
		d := ear.after(t, 1000, since, heard)
		t.Logf("%s: %v after the order", what, d.Round(time.Millisecond))
		if d > 200*time.Millisecond {
			t.Errorf("%s took %v", what, d)
		}
	}
	ear.after(t, 1000, time.Now(), true)
	step("muted", false, moderation.Order{Action: moderation.Mute, Target: a.ID(), On: true})
	step("unmuted", true, moderation.Order{Action: moderation.Mute, Target: a.ID()})
	step("lecture", false, moderation.Order{Action: moderation.Lecture, On: true})
	step("floor", true, moderation.Order{Action: moderation.Floor, Target: a.ID(), On: true})
	step("listener without floor", false, moderation.Order{Action: moderation.Floor, Target: a.ID()})
	step("lecture over", true, moderation.Order{Action: moderation.Lecture})
	var p Participant
	eventually.NoError(t, func() error {
		if p = r.Info().Participants[1]; !p.Talking || p.TalkTime < 0.3 {
			return fmt.Errorf("ann is shown as %+v", p)
		}
		return nil
	})
	if p.Level > 40 {
		t.Errorf("ann is shown as %+v", p)
	}
	step("removed", false, moderation.Order{Action: moderation.Remove, Target: a.ID()})

	// They call again, and wait: they neither hear nor are heard.
	since := time.Now()
	_, eb, pb := call(t, r, "ann", moderation.Speaker, 1000)
	_, _, tone := call(t, r, "cy", moderation.Speaker, 2000)
	eb.waitNotice(t, NoticeLobby)
	ear.after(t, 2000, since, true)
	for what, p := range map[string]*phone{"the meeting hears the lobby": ear, "cy hears the lobby": tone} {
		if _, dB := p.loudness(1000, since.Add(300*time.Millisecond)); anyAbove(dB, -50) {
			t.Error(what)
		}
	}
	if _, dB := pb.loudness(2000, since); anyAbove(dB, -50) {
		t.Error("the lobby hears the meeting")
	}
	// But what is played to them they hear.
	since = time.Now()
	eb.leg.Play(sound.Sine(500, 0.25, sound.Rate, 0))
	pb.after(t, 500, since, true)
	if _, dB := ear.loudness(500, since); anyAbove(dB, -50) {
		t.Error("the meeting hears the prompt")
	}
}

func anyAbove(dB []float64, limit float64) bool {
	for _, v := range dB {
		if v > limit {
			return true
		}
	}
	return false
}
