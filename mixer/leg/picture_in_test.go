package leg

import (
	"bytes"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtp"

	"rendezvous/internal/eventually"
)

// recording is a stream that ffmpeg made: 3 s of 640x360 at 30 pictures a second, a key
// frame each second.
type recording struct {
	once    sync.Once
	packets []rtp.Packet
}

var recordings = map[string]*recording{"H264": {}, "VP8": {}}

func recorded(t *testing.T, codec string) []rtp.Packet {
	t.Helper()
	r := recordings[codec]
	r.once.Do(func() { r.packets = record(t, codec) })
	if len(r.packets) == 0 {
		t.Fatal("no recording")
	}
	return slices.Clone(r.packets)
}

// record takes the packets from a socket that keeps them apart, has ffmpeg wait rather than lose one,
// and ends when ffmpeg does.
func record(t *testing.T, codec string) (packets []rtp.Packet) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rtp")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	args := []string{"-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=30", "-t", "3"}
	if codec == "VP8" {
		// A speed below zero is fixed: above it the encoder takes it from how busy the machine is, and each stream is another.
		args = append(args, "-c:v", "libvpx", "-threads", "1", "-deadline", "realtime", "-cpu-used", "-8", "-payload_type", "97")
	} else {
		args = append(args, "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline", "-payload_type", "96")
	}
	args = append(args, "-g", "30", "-b:v", "800k", "-pix_fmt", "yuv420p", "-packetsize", "1200", "-type", "seqpacket", "-f", "rtp", "unix:"+path)
	cmd := exec.CommandContext(t.Context(), "ffmpeg", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	var ffmpeg sync.WaitGroup
	ffmpeg.Go(func() {
		err = cmd.Run()
		l.Close() // if it has ended without a word
	})
	if conn, refused := l.Accept(); refused == nil {
		defer conn.Close()
		b := make([]byte, 2000)
		for {
			n, err := conn.Read(b)
			if err != nil || n == 0 {
				break
			}
			var p rtp.Packet
			if b[1] < 192 || b[1] > 223 { // those are RTCP's (RFC 5761 §4)
				if err := p.Unmarshal(slices.Clone(b[:n])); err != nil {
					t.Errorf("ffmpeg sent no RTP: %v", err)
				}
				packets = append(packets, p)
			}
		}
	}
	ffmpeg.Wait()
	if err != nil {
		t.Fatalf("ffmpeg is needed: %v\n%s", err, stderr.String())
	}
	return packets
}

// watched replays packets into a stream on a clock of its own.
type watched struct {
	t      *testing.T
	leg    *Leg
	stream *Stream
	fake   *fake
	start  time.Time
	clock  *atomic.Int64 // since start, nanoseconds: what the leg takes for now
	first  uint32
	serial uint64
	shown  []time.Duration // when a new picture was there
	asked  []time.Duration // when a key frame was asked for
}

func newWatched(t *testing.T, packets []rtp.Packet) *watched {
	t.Helper()
	start, clock := time.Unix(1000, 0), new(atomic.Int64)
	l := New(Config{Now: func() time.Time { return start.Add(time.Duration(clock.Load())) }})
	s, f := attach(t, l, Media{Kind: Video, Receive: []Codec{h264, vp8}, SSRC: 9})
	l.Port().Enter(testRungs, nil)
	t.Cleanup(func() {
		f.close()
		l.Close()
	})
	return &watched{t: t, leg: l, stream: s, fake: f, start: start, clock: clock, first: packets[0].Timestamp}
}

// at is when a packet arrives, by its timestamp.
func (w *watched) at(p *rtp.Packet) time.Duration {
	return time.Duration(p.Timestamp-w.first) * time.Second / 90000
}

func (w *watched) push(p *rtp.Packet, at time.Duration) {
	codec := &h264
	if p.PayloadType == 97 {
		codec = &vp8
	}
	w.clock.Store(int64(at))
	w.stream.picture.push(codec, p, w.start.Add(at))
	if pic, serial := w.stream.Picture(); pic != nil {
		if pic.Width != 640 || pic.Height != 360 {
			w.t.Fatalf("picture of %dx%d", pic.Width, pic.Height)
		}
		pic.Release()
		if serial != w.serial {
			w.serial = serial
			w.shown = append(w.shown, at)
		}
	}
	if keys, _ := w.fake.requests(); keys > 0 {
		w.asked = append(w.asked, at)
	}
}

// longest is the longest time without a new picture between two times.
func (w *watched) longest(from, to time.Duration) (gap time.Duration) {
	last := from
	for _, at := range append(slices.Clone(w.shown), to) {
		if at >= from && at <= to {
			gap = max(gap, at-last)
			last = at
		}
	}
	return gap
}

// Real streams with what networks do to them.
func TestPicturesOfRealStreams(t *testing.T) {
	for _, codec := range []string{"H264", "VP8"} {
		tests := []struct {
			name   string
			change func(p []rtp.Packet) []rtp.Packet
			least  int           // new pictures seen
			freeze time.Duration // at most
			asks   bool          // for a key frame in the middle
		}{
			{"as sent", func(p []rtp.Packet) []rtp.Packet { return p }, 88, 100 * time.Millisecond, false},
			{"reordered", func(p []rtp.Packet) []rtp.Packet {
				r := rand.New(rand.NewPCG(1, 2))
				for i := 1; i+4 < len(p); i += 4 {
					r.Shuffle(4, func(a, b int) { p[i+a], p[i+b] = p[i+b], p[i+a] })
				}
				return p
			}, 80, 150 * time.Millisecond, false},
			{"without markers", func(p []rtp.Packet) []rtp.Packet {
				for i := range p {
					p[i].Marker = false
				}
				return p
			}, 87, 100 * time.Millisecond, false},
			{"padding in between", func(p []rtp.Packet) (out []rtp.Packet) {
				for _, x := range p {
					x.SequenceNumber = p[0].SequenceNumber + uint16(len(out))
					out = append(out, x)
					if x.Marker {
						x.Payload, x.Marker = nil, false
						x.SequenceNumber++
						out = append(out, x)
					}
				}
				return out
			}, 88, 100 * time.Millisecond, false},
			{"sequence wraps", func(p []rtp.Packet) []rtp.Packet {
				by := -p[len(p)/2].SequenceNumber
				for i := range p {
					p[i].SequenceNumber += by
				}
				return p
			}, 88, 100 * time.Millisecond, false},
			// Nothing is shown until the next key frame, which this sender makes each second.
			{"one packet lost", func(p []rtp.Packet) []rtp.Packet {
				i := slices.IndexFunc(p, func(x rtp.Packet) bool { return x.Timestamp-p[0].Timestamp > 90000*11/10 })
				return slices.Delete(p, i, i+1)
			}, 60, 1100 * time.Millisecond, true},
			// Pictures get through, if seldom, and no later than a gap is waited for.
			{"1 % lost", func(p []rtp.Packet) []rtp.Packet {
				r := rand.New(rand.NewPCG(3, 4))
				return slices.DeleteFunc(p, func(rtp.Packet) bool { return r.IntN(100) < 1 })
			}, 1, 3 * time.Second, true},
		}
		for _, tt := range tests {
			t.Run(codec+" "+tt.name, func(t *testing.T) {
				packets := recorded(t, codec)
				w := newWatched(t, packets)
				end := w.at(&packets[len(packets)-1])
				latest := time.Duration(0)
				for _, p := range tt.change(packets) {
					latest = max(latest, w.at(&p))
					w.push(&p, latest)
				}
				if len(w.shown) < tt.least {
					t.Errorf("%d pictures, want %d", len(w.shown), tt.least)
				}
				if gap := w.longest(0, end); gap > tt.freeze {
					t.Errorf("nothing new for %v, want %v at most", gap, tt.freeze)
				}
				if asks := len(w.asked) > 1; asks != tt.asks {
					t.Errorf("asked for key frames at %v", w.asked)
				}
				t.Logf("%d pictures, longest freeze %v, asked at %v", len(w.shown), w.longest(0, end), w.asked)
			})
		}
	}
}

// A stream off the canvas is not decoded and asked for a trickle; on it again, a key frame and the
// full rate are asked for at once, and the picture is there when that comes.
func TestHiddenStreamComesBack(t *testing.T) {
	packets := recorded(t, "H264")
	w := newWatched(t, packets)
	w.stream.SetShown(1280, 720)
	const hide, show = 500 * time.Millisecond, 1500 * time.Millisecond
	state := 0
	for i := range packets {
		p := &packets[i]
		at := w.at(p)
		switch {
		case state == 0 && at >= hide:
			w.stream.SetShown(0, 0)
			if pic, _ := w.stream.Picture(); pic != nil {
				pic.Release()
				t.Error("a hidden stream has a picture")
			}
			state = 1
		case state == 1 && at >= show:
			w.fake.requests()
			w.clock.Store(int64(at))
			w.stream.SetShown(640, 360)
			keys, bitrate := 0, 0
			eventually.True(t, "what is shown again is asked for before a packet comes", func() bool {
				k, b := w.fake.requests()
				keys, bitrate = keys+k, max(bitrate, b)
				return keys > 0 && bitrate > 0
			})
			w.stream.picture.push(&h264, p, w.start.Add(at))
			if more, _ := w.fake.requests(); keys+more != 1 || bitrate != 900_000 {
				t.Errorf("asked for %d key frames and %d bit/s", keys+more, bitrate)
			}
			state = 2
			continue
		}
		w.push(p, at)
	}
	for _, at := range w.shown {
		if at > hide && at < 1900*time.Millisecond {
			t.Errorf("a picture at %v, while hidden or without a reference", at)
		}
	}
	if n := len(w.shown); n == 0 || w.shown[n-1] < 2900*time.Millisecond {
		t.Errorf("pictures at %v", w.shown)
	}
}

// Legs that are in no mix decode nothing, however much they are sent.
func TestNothingIsDecodedOutsideAMix(t *testing.T) {
	packets := recorded(t, "VP8")
	w := newWatched(t, packets)
	w.leg.Port().Leave()
	for i := range packets {
		w.push(&packets[i], w.at(&packets[i]))
	}
	if len(w.shown) != 0 || len(w.asked) != 0 || w.stream.picture.decoder != nil {
		t.Errorf("%d pictures, key frames asked for at %v", len(w.shown), w.asked)
	}
}

// A sender who answers no request is shown as they are after a while, and asked seldom.
func TestSenderWithoutKeyFrames(t *testing.T) {
	packets := recorded(t, "H264")
	w := newWatched(t, packets)
	second := slices.IndexFunc(packets, func(p rtp.Packet) bool { return w.at(&p) > time.Second-10*time.Millisecond })
	at := time.Duration(0)
	seq, ts := packets[0].SequenceNumber, packets[0].Timestamp
	send := func(p rtp.Packet) {
		p.SequenceNumber, p.Timestamp = seq, ts
		seq++
		if p.Marker {
			ts += 3000
			at += time.Second / 30
		}
		w.push(&p, at)
	}
	for i := range second {
		send(packets[i])
	}
	seq++ // lost, with all of a picture
	ts += 3000
	at += time.Second / 30
	lost := at
	var past []time.Duration // when what was shown was said to be of the past
	for range 10 {
		for i := range second {
			if w.at(&packets[i]) > 100*time.Millisecond {
				send(packets[i])
			}
			if w.stream.Lacking() {
				past = append(past, at)
			}
		}
	}
	begin := lost + gapWait(unknownRTT) + greyAfter
	if len(past) == 0 || past[0] < begin || past[0] > begin+100*time.Millisecond ||
		past[len(past)-1] > begin-greyAfter+keyPatience+100*time.Millisecond {
		t.Errorf("lost at %v, of the past at %v", lost, past)
	}
	i := slices.IndexFunc(w.shown, func(at time.Duration) bool { return at > lost+gapWait(unknownRTT) })
	if i < 0 || w.shown[i] > lost+gapWait(unknownRTT)+keyPatience+time.Second || w.shown[i] < lost+keyPatience {
		t.Fatalf("lost at %v, shown at %v", lost, w.shown)
	}
	// At the start, five times while they are waited for, and then each three seconds.
	if n := len(w.asked); n < 5 || n > 10 {
		t.Errorf("asked %d times, at %v", n, w.asked)
	}
}
