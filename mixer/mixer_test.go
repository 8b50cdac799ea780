package mixer_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rendezvous/internal/sound"
	"rendezvous/mixer"
	"rendezvous/mixer/leg"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// udpPipe carries plain RTP and RTCP to and from an ffmpeg on loopback.
type udpPipe struct {
	rtp, rtcp     *net.UDPConn
	toRTP, toRTCP *net.UDPAddr
}

func newUDPPipe(t testing.TB) *udpPipe {
	t.Helper()
	for range 50 {
		a, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		port := a.LocalAddr().(*net.UDPAddr).Port
		b, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port + 1})
		if err != nil || port%2 == 1 {
			a.Close()
			if b != nil {
				b.Close()
			}
			continue
		}
		return &udpPipe{rtp: a, rtcp: b}
	}
	t.Fatal("no pair of UDP ports")
	return nil
}

func (p *udpPipe) port() int { return p.rtp.LocalAddr().(*net.UDPAddr).Port }

func (p *udpPipe) ReadRTP(b []byte) (int, error)  { return p.rtp.Read(b) }
func (p *udpPipe) ReadRTCP(b []byte) (int, error) { return p.rtcp.Read(b) }
func (p *udpPipe) WriteRTP(b []byte) error {
	if p.toRTP == nil {
		return nil
	}
	_, err := p.rtp.WriteToUDP(b, p.toRTP)
	return err
}
func (p *udpPipe) WriteRTCP(b []byte) error {
	if p.toRTCP == nil {
		return nil
	}
	_, err := p.rtcp.WriteToUDP(b, p.toRTCP)
	return err
}
func (p *udpPipe) close() { p.rtp.Close(); p.rtcp.Close() }

// party is a leg whose far end is ffmpeg: one that sends a colour and a tone, one that
// writes what it is sent to a file.
type party struct {
	leg      *leg.Leg
	pipes    []*udpPipe
	sessions []*leg.Session
	streams  []*leg.Stream
}

var partyCodecs = map[leg.Kind][]leg.Codec{
	leg.Audio: {{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2}},
	leg.Video: {{Name: "H264", PayloadType: 96, ClockRate: 90000}, {Name: "VP8", PayloadType: 97, ClockRate: 90000}},
}

func newParty(t testing.TB, video string) *party {
	t.Helper()
	p := &party{leg: leg.New(leg.Config{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})}
	for i, kind := range []leg.Kind{leg.Audio, leg.Video} {
		pipe := newUDPPipe(t)
		codecs := partyCodecs[kind]
		send := codecs[0]
		if kind == leg.Video && video == "VP8" {
			send = codecs[1]
		}
		ssrc := uint32(1000 + i)
		s, err := leg.NewSession(pipe, leg.SessionConfig{Kind: kind, SSRC: ssrc, CNAME: "test", Receive: codecs, Send: send})
		if err != nil {
			t.Fatal(err)
		}
		stream, err := p.leg.Attach(leg.Media{Kind: kind, Transport: s, Receive: codecs, Send: send, SSRC: ssrc})
		if err != nil {
			t.Fatal(err)
		}
		p.pipes, p.sessions, p.streams = append(p.pipes, pipe), append(p.sessions, s), append(p.streams, stream)
	}
	return p
}

func (p *party) close(t testing.TB) {
	for _, x := range p.pipes {
		x.close()
	}
	p.leg.Close()
	for _, s := range p.sessions {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// speak starts an ffmpeg that sends a colour and a tone to the party's leg.
func (p *party) speak(t *testing.T, colour string, hertz int) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "error", "-re",
		"-f", "lavfi", "-i", "color=c="+colour+":s=640x360:r=30", "-re",
		"-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=%d:sample_rate=48000", hertz),
		"-map", "0:v", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline",
		"-g", "30", "-pix_fmt", "yuv420p", "-payload_type", "96", "-f", "rtp",
		fmt.Sprintf("rtp://127.0.0.1:%d?pkt_size=1200", p.pipes[1].port()),
		"-map", "1:a", "-c:a", "libopus", "-b:a", "48k", "-payload_type", "111", "-f", "rtp",
		fmt.Sprintf("rtp://127.0.0.1:%d?pkt_size=1200", p.pipes[0].port()))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal("ffmpeg is needed: ", err)
	}
	t.Cleanup(func() {
		if t.Failed() && out.Len() > 0 {
			t.Logf("ffmpeg (%s): %.2000s", colour, out.String())
		}
	})
	return cmd
}

// listen starts an ffmpeg that writes what the party is sent to a Matroska file. It
// returns when that is done, by itself after the given time.
func (p *party) listen(t *testing.T, dir, video string, seconds int) (file string, wait func()) {
	t.Helper()
	ports := [2]int{}
	for i := range ports {
		c := newUDPPipe(t)
		ports[i] = c.port()
		c.close()
	}
	pt, name := 96, "H264"
	if video == "VP8" {
		pt, name = 97, "VP8"
	}
	sdp := filepath.Join(dir, "in.sdp")
	text := fmt.Sprintf("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=t\nc=IN IP4 127.0.0.1\nt=0 0\n"+
		"m=audio %d RTP/AVP 111\na=rtpmap:111 opus/48000/2\nm=video %d RTP/AVP %d\na=rtpmap:%d %s/90000\n",
		ports[0], ports[1], pt, pt, name)
	if err := os.WriteFile(sdp, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "out.mkv")
	cmd := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-protocol_whitelist", "file,udp,rtp",
		"-analyzeduration", "3M", "-probesize", "2M", "-i", sdp, "-t", fmt.Sprint(seconds), "-c", "copy", file)
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal("ffmpeg is needed: ", err)
	}
	for i, x := range p.pipes {
		x.toRTP = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: ports[i]}
		x.toRTCP = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: ports[i] + 1}
	}
	return file, func() {
		t.Helper()
		if err := cmd.Wait(); err != nil {
			t.Fatalf("ffmpeg could not record what was sent: %v\n%s", err, out.String())
		}
	}
}

// pixel is the mean colour (red, green, blue) around a place in the last picture of a file.
func pixel(t *testing.T, file string, x, y int) [3]int {
	t.Helper()
	raw := run(t, "ffmpeg", "-loglevel", "error", "-i", file,
		"-vf", fmt.Sprintf("scale=1280:720,crop=16:16:%d:%d,scale=1:1", x-8, y-8), "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
	if len(raw) < 3 {
		t.Fatalf("no picture in %s", file)
	}
	raw = raw[len(raw)-3:]
	return [3]int{int(raw[0]), int(raw[1]), int(raw[2])}
}

func sine(turns float64) float64 { return math.Sin(2 * math.Pi * turns) }

func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return out
}

// tones is the amplitude of each frequency in the last two seconds of a file's sound.
func tones(t *testing.T, file string, hertz ...float64) []float64 {
	t.Helper()
	pcm := sound.File(t, file)
	if len(pcm) < sound.Rate {
		t.Fatalf("%d samples of sound in %s", len(pcm), file)
	}
	pcm = pcm[max(0, len(pcm)-2*sound.Rate):]
	var out []float64
	for _, f := range hertz {
		out = append(out, sound.Amplitude(pcm, f, sound.Rate))
	}
	return out
}

// Three parties that are ffmpeg: each sees the others' colours where the canvas says, and
// hears the others' tones and not its own.
func TestMixWithFFmpeg(t *testing.T) {
	for _, codec := range []string{"H264", "VP8"} {
		t.Run(codec, func(t *testing.T) {
			m := mixer.New(mixer.Config{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
			defer m.Close()
			colours := []string{"red", "lime", "blue"}
			rgb := [][3]int{{255, 0, 0}, {0, 255, 0}, {0, 0, 255}}
			hz := []float64{440, 1000, 1700}
			var parties []*party
			var senders []*exec.Cmd
			for i, c := range colours {
				p := newParty(t, codec)
				parties = append(parties, p)
				m.Add(c, p.leg, mixer.Attributes{Name: c})
				senders = append(senders, p.speak(t, c, int(hz[i])))
			}
			type result struct {
				file string
				wait func()
			}
			var results []result
			for _, p := range parties {
				file, wait := p.listen(t, t.TempDir(), codec, 5)
				results = append(results, result{file, wait})
			}
			done := make(chan struct{})
			var waiting, asking sync.WaitGroup
			// ffmpeg as a receiver says nothing; a real one would ask until it has a key frame.
			asking.Go(func() {
				tick := time.NewTicker(700 * time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-done:
						return
					case <-tick.C:
						for _, p := range parties {
							p.leg.RequestKeyFrame()
						}
					}
				}
			})
			for _, r := range results {
				waiting.Go(r.wait)
			}
			waiting.Wait()
			close(done)
			asking.Wait()
			tiles, _ := m.Tiles()
			for i, c := range senders {
				if err := c.Process.Kill(); err != nil {
					t.Error(err)
				}
				_ = c.Wait() // it was killed
				m.Remove(colours[i])
				parties[i].close(t)
			}
			if len(tiles) != 3 {
				t.Fatalf("%d tiles, want 3: %+v", len(tiles), tiles)
			}
			for i, r := range results {
				for _, tile := range tiles {
					k := strings.Index("red lime blue", tile.ID)
					k = map[int]int{0: 0, 4: 1, 9: 2}[k]
					c := tile.Rect.Min.Add(tile.Rect.Size().Div(2))
					got := pixel(t, r.file, c.X, c.Y)
					for ch := range 3 {
						if d := got[ch] - rgb[k][ch]; d < -40 || d > 40 {
							t.Errorf("%s sees %v in the tile of %s at %v", colours[i], got, tile.ID, tile.Rect)
							break
						}
					}
				}
				amplitude := tones(t, r.file, hz...)
				for k, a := range amplitude {
					if k == i && a > 0.001 {
						t.Errorf("%s hears itself: %.4f", colours[i], a)
					}
					if k != i && a < 0.05 {
						t.Errorf("%s hears %s at %.4f", colours[i], colours[k], a)
					}
				}
				t.Logf("%s hears %.4f", colours[i], amplitude)
			}
		})
	}
}

// A room without people has no goroutine; one that was used neither (goleak in TestMain
// sees to the rest).
func TestEmptyRoomIsStill(t *testing.T) {
	before := goleak.IgnoreCurrent()
	var mixers []*mixer.Mixer
	for range 100 {
		mixers = append(mixers, mixer.New(mixer.Config{}))
	}
	goleak.VerifyNone(t, before)
	p := newParty(t, "H264")
	mixers[0].Add("a", p.leg, mixer.Attributes{Name: "a"})
	mixers[0].Remove("a")
	p.close(t)
	goleak.VerifyNone(t, before)
	for _, m := range mixers {
		m.Close()
	}
}
