package audio_test

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"rendezvous/internal/sound"
	"rendezvous/mixer/audio"
)

func TestEverybodyHearsTheOthersAndNotThemselves(t *testing.T) {
	for _, c := range []struct {
		codec     string
		own       float64 // dB, at most, of one's own tone
		tolerance float64 // of the others'
	}{{"L16", -60, 0.001}, {"opus", -40, 0.1}, {"G722", -40, 0.1}, {"PCMU", -40, 0.1}, {"PCMA", -40, 0.1}} {
		t.Run(c.codec, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := audio.NewBus(audio.Config{})
				low, high := newMember(t, c.codec, tone(500, 0.2)), newMember(t, c.codec, tone(1300, 0.1))
				listener, recorder := newMember(t, c.codec, nil), newMember(t, c.codec, nil)
				for _, m := range []*member{low, high, listener, recorder} {
					b.Add(m)
				}
				time.Sleep(2*time.Second + time.Millisecond)
				b.Close()
				for _, e := range []struct {
					name      string
					m         *member
					low, high float64 // amplitudes expected
				}{
					{"low", low, 0, 0.1},
					{"high", high, 0.2, 0},
					{"listener", listener, 0.2, 0.1},
					{"recorder", recorder, 0.2, 0.1},
				} {
					x, packets := e.m.sound()
					if len(packets) != 100 {
						t.Errorf("%s got %d packets in 2 s", e.name, len(packets))
					}
					x = x[len(x)/2:]
					for _, f := range []struct{ hertz, own, want float64 }{{500, 0.2, e.low}, {1300, 0.1, e.high}} {
						got := sound.Amplitude(x, f.hertz, audio.SampleRate)
						switch {
						case f.want == 0 && sound.Decibels(got/f.own) > c.own:
							t.Errorf("%s hears themselves at %.0f Hz: %.1f dB", e.name, f.hertz, sound.Decibels(got/f.own))
						case f.want > 0 && (got < (1-c.tolerance)*f.want || got > (1+c.tolerance)*f.want):
							t.Errorf("%s hears %.0f Hz with amplitude %.4f, want %.4f", e.name, f.hertz, got, f.want)
						}
					}
				}
				lp, rp := listener.packets, recorder.packets
				for i := range lp {
					if &lp[i].Payload[0] != &rp[i].Payload[0] {
						t.Fatal("two listeners of one format got encodes of their own")
					}
				}
			})
		})
	}
}

func noise(rms float64) func(*audio.Frame) bool {
	r := rand.New(rand.NewPCG(1, 2))
	return func(f *audio.Frame) bool {
		for i := range f {
			f[i] = int16(r.NormFloat64() * rms * 32768)
		}
		return true
	}
}

func TestBackgroundNoiseIsHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := audio.NewBus(audio.Config{})
		noisy, listener := newMember(t, "opus", noise(0.003)), newMember(t, "opus", nil) // -50 dBov
		b.Add(noisy)
		b.Add(listener)
		time.Sleep(10 * time.Second)
		listener.sound()
		time.Sleep(time.Second)
		_, packets := listener.sound()
		for _, p := range packets {
			if !p.Silent || p.Level != 127 {
				t.Fatalf("after 10 s a steady background is still heard: %d", p.Level)
			}
		}
		if got := b.Level(noisy); got < 49 || got > 51 {
			t.Errorf("level is -%d dBov", got)
		}
		if b.Talking(noisy) {
			t.Error("it is taken for talk")
		}
		b.Close()
	})
}

func TestMutedReachesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := audio.NewBus(audio.Config{})
		talker, listener := newMember(t, "L16", tone(500, 0.3)), newMember(t, "L16", nil)
		b.Add(talker)
		b.Add(listener)
		time.Sleep(time.Second)
		if !b.Talking(talker) {
			t.Error("a tone is not talk")
		}
		before := b.TalkTime(talker)
		if before < 900*time.Millisecond || before > time.Second {
			t.Errorf("talked for %v in 1 s", before)
		}
		b.SetMuted(talker, true)
		time.Sleep(time.Second)
		x, _ := listener.sound()
		// The steepest slope of the tone is 643.
		if s := steepest(x); s > 700 {
			t.Errorf("muting clicks: a step of %d", s)
		}
		if a := sound.Amplitude(x[len(x)-24000:], 500, audio.SampleRate); a > 1e-6 {
			t.Errorf("a muted tone is heard with %.6f", a)
		}
		if b.Talking(talker) || b.Level(talker) != 127 || b.TalkTime(talker) > before+40*time.Millisecond {
			t.Errorf("muted, but talking %v, level %d, talk time %v", b.Talking(talker), b.Level(talker), b.TalkTime(talker))
		}
		b.SetMuted(talker, false)
		time.Sleep(time.Second)
		x, _ = listener.sound()
		if s := steepest(x); s > 700 {
			t.Errorf("unmuting clicks: a step of %d", s)
		}
		if a := sound.Amplitude(x[len(x)-24000:], 500, audio.SampleRate); a < 0.299 || a > 0.301 {
			t.Errorf("unmuted, heard with %.4f", a)
		}
		b.Close()
	})
}

// steepest is the largest step between neighbouring samples.
func steepest(x []int16) int {
	s := 0
	for i := 1; i < len(x); i++ {
		s = max(s, int(x[i])-int(x[i-1]), int(x[i-1])-int(x[i]))
	}
	return s
}

// skipping is a member that can pass over frames.
type skipping struct {
	*member
	reads, skips atomic.Int32
}

func (s *skipping) ReadFrame(f *audio.Frame) bool { s.reads.Add(1); return s.member.ReadFrame(f) }
func (s *skipping) SkipFrame()                    { s.skips.Add(1) }

func TestAddedMutedIsNeverHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := audio.NewBus(audio.Config{})
		listener := newMember(t, "L16", nil)
		b.Add(listener)
		time.Sleep(audio.FrameDuration * 3 / 2)
		talker := newMember(t, "L16", tone(500, 0.5))
		b.AddMuted(talker)
		time.Sleep(200 * time.Millisecond)
		if x, _ := listener.sound(); slices.ContainsFunc(x, func(v int16) bool { return v != 0 }) {
			t.Error("they are heard")
		}
		b.SetMuted(talker, false)
		time.Sleep(200 * time.Millisecond)
		if x, _ := listener.sound(); !slices.ContainsFunc(x, func(v int16) bool { return v != 0 }) {
			t.Error("they are not heard when let in")
		}
		b.Close()
	})
}

func TestMutedNeedNotDecode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := audio.NewBus(audio.Config{})
		m := &skipping{member: newMember(t, "opus", tone(500, 0.3))}
		b.Add(m)
		time.Sleep(101 * time.Millisecond)
		b.SetMuted(m, true)
		time.Sleep(200 * time.Millisecond)
		if m.reads.Load() != 5 || m.skips.Load() != 10 {
			t.Errorf("%d reads, %d skips", m.reads.Load(), m.skips.Load())
		}
		b.Close()
	})
}

func TestLobbyHearsOnlyItsPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := audio.NewBus(audio.Config{})
		b.Add(newMember(t, "L16", tone(500, 0.2)))
		waiting, listener := newMember(t, "L16", nil), newMember(t, "L16", nil)
		b.SetDeaf(waiting, true) // not in yet: nothing happens
		b.Add(waiting)
		b.Add(listener)
		b.SetDeaf(waiting, true)
		time.Sleep(time.Second)
		waiting.sound()
		waiting.mu.Lock()
		waiting.whisper = tone(900, 0.1)
		waiting.mu.Unlock()
		time.Sleep(time.Second)
		x, _ := waiting.sound()
		if a := sound.Amplitude(x, 500, audio.SampleRate); a > 1e-4 {
			t.Errorf("the lobby hears the room with %.5f", a)
		}
		if a := sound.Amplitude(x[4800:], 900, audio.SampleRate); a < 0.099 || a > 0.101 {
			t.Errorf("the lobby hears its prompt with %.4f", a)
		}
		x, _ = listener.sound()
		if a := sound.Amplitude(x, 900, audio.SampleRate); a > 1e-4 {
			t.Errorf("the room hears the lobby's prompt with %.5f", a)
		}
		waiting.mu.Lock()
		waiting.whisper = nil
		waiting.mu.Unlock()
		b.SetDeaf(waiting, false)
		time.Sleep(time.Second)
		x, _ = waiting.sound()
		if a := sound.Amplitude(x[24000:], 500, audio.SampleRate); a < 0.199 {
			t.Errorf("admitted, they hear the room with %.4f", a)
		}
		b.Close()
	})
}

func TestSoloTap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := audio.NewBus(audio.Config{})
		one, other := newMember(t, "opus", tone(500, 0.2)), newMember(t, "opus", tone(900, 0.2))
		tap, nobody := newMember(t, "L16", nil), newMember(t, "L16", nil)
		b.Add(one)
		b.Add(other)
		b.AddSolo(tap, one)
		b.AddSolo(nobody, newMember(t, "opus", nil)) // not in the room
		time.Sleep(time.Second + time.Millisecond)
		b.Play(make([]int16, 4800))
		x, _ := tap.sound()
		if a, o := sound.Amplitude(x[960:], 500, audio.SampleRate), sound.Amplitude(x[960:], 900, audio.SampleRate); a < 0.199 || o > 1e-4 {
			t.Errorf("the tap hears its member with %.4f, the other with %.4f", a, o)
		}
		b.Remove(one)
		tap.sound()
		time.Sleep(time.Second)
		for _, m := range []*member{tap, nobody} {
			x, packets := m.sound()
			if len(packets) < 50 || steepest(x) != 0 {
				t.Errorf("a tap of nobody hears %d packets with steps of %d", len(packets), steepest(x))
			}
		}
		b.Close()
	})
}

// TestManyMembers has enough of them for several cores.
func TestManyMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := audio.NewBus(audio.Config{})
		var members []*member
		for i := range 60 {
			var source func(*audio.Frame) bool
			if i < 6 {
				source = tone(float64(400+200*i), 0.05)
			}
			m := newMember(t, "L16", source)
			if i%2 == 0 && i < 6 {
				m = newMember(t, "opus", source)
			}
			members = append(members, m)
			b.Add(m)
		}
		time.Sleep(2*time.Second + time.Millisecond)
		b.Close()
		for i, m := range members {
			x, packets := m.sound()
			if len(packets) != 100 {
				t.Fatalf("member %d got %d packets", i, len(packets))
			}
			for j := range 6 {
				a := sound.Amplitude(x[48000:], float64(400+200*j), audio.SampleRate)
				if i == j && a > 0.002 || i != j && (a < 0.04 || a > 0.06) {
					t.Errorf("member %d hears %d with %.4f", i, j, a)
				}
			}
		}
	})
}

func TestAnnouncement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := audio.NewBus(audio.Config{})
		select {
		case <-b.Play(make([]int16, 100)):
		default:
			t.Error("an announcement to nobody is not dropped")
		}
		talker, listener := newMember(t, "opus", tone(500, 0.2)), newMember(t, "opus", nil)
		b.Add(talker)
		b.Add(listener)
		var pcm []int16
		var f audio.Frame
		for beep := tone(900, 0.2); len(pcm) < 48000; {
			beep(&f)
			pcm = append(pcm, f[:]...)
		}
		first, second := b.Play(pcm[:24100]), b.Play(pcm[24100:])
		start := time.Now()
		<-first
		if d := time.Since(start); d < 500*time.Millisecond || d > 540*time.Millisecond {
			t.Errorf("half a second took %v", d)
		}
		<-second
		for _, m := range []*member{talker, listener} {
			x, _ := m.sound()
			if a := sound.Amplitude(x[4800:43200], 900, audio.SampleRate); a < 0.18 {
				t.Errorf("heard with %.3f", a)
			}
		}
		third := b.Play(pcm)
		b.Close()
		<-third
	})
}

func TestOnlyTheLoudestAreMixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := audio.NewBus(audio.Config{MaxTalkers: 3})
		for i := range 6 {
			b.Add(newMember(t, "L16", tone(float64(500+200*i), 0.02*float64(i+1)*float64(i+1)/4)))
		}
		listener := newMember(t, "L16", nil)
		b.Add(listener)
		time.Sleep(3 * time.Second)
		x, _ := listener.sound()
		x = x[48000:]
		for i := range 6 {
			want := 0.02 * float64(i+1) * float64(i+1) / 4
			if i < 3 {
				want = 0
			}
			if a := sound.Amplitude(x, float64(500+200*i), audio.SampleRate); a < want-0.002 || a > want+0.002 {
				t.Errorf("talker %d is heard with %.4f, want %.4f", i, a, want)
			}
		}
		b.Close()
	})
}

func TestTalkersChangedIsSignalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := audio.NewBus(audio.Config{})
		var on atomic.Bool
		sound := tone(500, 0.2)
		m := newMember(t, "opus", func(f *audio.Frame) bool { return on.Load() && sound(f) })
		b.Add(m)
		time.Sleep(time.Second)
		start := time.Now()
		on.Store(true)
		<-b.TalkersChanged()
		if d := time.Since(start); !b.Talking(m) || d > 200*time.Millisecond {
			t.Errorf("talking %v after %v", b.Talking(m), d)
		}
		on.Store(false)
		start = time.Now()
		<-b.TalkersChanged()
		if d := time.Since(start); b.Talking(m) || d < 400*time.Millisecond || d > 900*time.Millisecond {
			t.Errorf("talking %v after %v of silence", b.Talking(m), d)
		}
		b.Close()
	})
}

func TestEmptyRoomHasNoClock(t *testing.T) {
	// Goroutines are told apart, not counted: one of the test before may be on its way out still.
	before := goleak.IgnoreCurrent()
	b := audio.NewBus(audio.Config{})
	goleak.VerifyNone(t, before)
	m := newMember(t, "opus", nil)
	for range 3 {
		b.Add(m)
		b.Add(m)
		b.Remove(m)
		b.Remove(m)
		goleak.VerifyNone(t, before)
	}
}

// slow is a member whose reading takes time.
type slow struct {
	*member
	nap time.Duration
}

func (s *slow) ReadFrame(*audio.Frame) bool {
	d := s.nap
	s.nap = 0
	time.Sleep(d)
	return false
}

func TestLateTicksAreCaughtUp(t *testing.T) {
	for _, c := range []struct {
		nap           time.Duration
		want, skipped int
	}{{70 * time.Millisecond, 150, 0}, {time.Second, 150 - 50 + 10, 40}} {
		synctest.Test(t, func(t *testing.T) {
			reg, value := metrics(t)
			b := audio.NewBus(audio.Config{Metrics: audio.NewMetrics(reg)})
			m := newMember(t, "opus", nil)
			b.Add(m)
			time.Sleep(time.Second)
			s := &slow{newMember(t, "opus", nil), c.nap}
			b.Add(s)
			time.Sleep(2*time.Second + 10*time.Millisecond)
			_, packets := m.sound()
			if d := len(packets) - c.want; d < -1 || d > 1 {
				t.Errorf("held up for %v, %d packets in 3 s, want %d", c.nap, len(packets), c.want)
			}
			if got := value("rendezvous_audio_ticks_skipped_total"); got < float64(c.skipped-1) || got > float64(c.skipped+1) {
				t.Errorf("held up for %v, %v ticks skipped, want %d", c.nap, got, c.skipped)
			}
			b.Close()
		})
	}
}

// TestRemovedIsNotCalled adds and removes members from several goroutines; run it with -race too.
func TestRemovedIsNotCalled(t *testing.T) {
	b := audio.NewBus(audio.Config{})
	defer b.Close()
	b.Add(newMember(t, "opus", tone(500, 0.2)))
	done := make(chan struct{})
	for g := range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for range 20 {
				m := &guarded{}
				m.in.Store(true)
				b.Add(m)
				b.SetMuted(m, r.IntN(2) == 0)
				time.Sleep(time.Duration(r.IntN(30)) * time.Millisecond)
				b.Talking(m)
				b.Remove(m)
				m.in.Store(false)
				if m.wrong.Load() {
					t.Error("called after it was removed")
				}
			}
		}()
	}
	for range 4 {
		<-done
	}
}

// guarded is a member who notes calls that should not be.
type guarded struct {
	in, wrong, busy atomic.Bool
}

func (g *guarded) check() {
	if !g.in.Load() || !g.busy.CompareAndSwap(false, true) {
		g.wrong.Store(true)
	}
	runtime.Gosched()
	g.busy.Store(false)
}

func (g *guarded) ReadFrame(f *audio.Frame) bool { g.check(); return true }
func (g *guarded) ReadPrivate(*audio.Frame) bool { g.check(); return false }
func (g *guarded) Format() audio.Format {
	g.check()
	return audio.Format{Codec: "opus", Bitrate: 32000}
}
func (g *guarded) WritePacket(audio.Packet, audio.Format) { g.check() }
