package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pion/webrtc/v3"
	"github.com/pion/webrtc/v3/pkg/media"

	"rendezvous/internal/freeport"
	"rendezvous/mixer/av"
	"rendezvous/mixer/ladder"
)

// picture compares the CPU time of a whole host (ICE, DTLS, SRTP, mixing, everything), and of the mixer alone,
// with that of decoding, scaling and encoding the same streams and nothing else.
func picture(o options) ([]figure, error) {
	streams, err := clips(o.clips)
	if err != nil {
		return nil, err
	}
	var all []figure
	for _, n := range o.senders {
		figures, err := pictureOf(streams, n, o)
		if err != nil {
			return nil, err
		}
		all = append(all, figures...)
	}
	return all, nil
}

// pictureOf compares with so many senders.
func pictureOf(streams [][][]byte, senders int, o options) ([]figure, error) {
	var bare, inside, insideRatio, host, ratio, rates, pictures []float64
	for run := range o.runs {
		o.say(run, "bare codecs, %d senders", senders)
		b, err := barePicture(streams, senders, o.length)
		if err != nil {
			return nil, err
		}
		o.say(run, "mixer")
		m, err := mixerPicture(streams, senders, o.length)
		if err != nil {
			return nil, err
		}
		bare, inside, insideRatio = append(bare, b), append(inside, m.cpu), append(insideRatio, m.cpu/b)
		if o.inside {
			rates, pictures = append(rates, m.rate), append(pictures, m.fps)
			continue
		}
		o.say(run, "host")
		h, err := hostPicture(streams, senders, o, "off")
		if err != nil {
			return nil, err
		}
		host, ratio = append(host, h.cpu), append(ratio, h.cpu/b)
		rates, pictures = append(rates, h.rate), append(pictures, h.fps)
	}
	of := fmt.Sprintf("/senders=%d", senders)
	figures := []figure{
		{"Picture/bare" + of, fmt.Sprintf("bare: decode %d, scale into the canvas, encode once", senders), "s/s", bare, ""},
		{"Picture/mixer" + of, "mixer: legs without a network", "s/s", inside, ""},
		{"Picture/mixer" + of, "mixer / bare", "x-bare", insideRatio, ""},
	}
	if !o.inside {
		figures = append(figures,
			figure{"Picture/host" + of, fmt.Sprintf("host: the program, %d WHIP senders, 1 WHEP watcher", senders), "s/s", host, ""},
			figure{"Picture/host" + of, "host / bare", "x-bare", ratio, "goal: at most 1.25"})
	}
	note := "pictures, of 30"
	if median(pictures) < 28 {
		note += ": the machine is too busy for the comparison to be fair"
	}
	figures = append(figures,
		figure{"Picture/watcher" + of, "the watcher is sent", "kbit/s", rates, "the best rung aims at 1800"},
		figure{"Picture/watcher" + of, "the watcher is sent", "1/s", pictures, note})
	if o.inside || !o.tape {
		return figures, nil
	}
	o.say(o.runs-1, "host that records")
	taped, err := hostPicture(streams, senders, o, "auto")
	if err != nil {
		return nil, err
	}
	return append(figures, figure{"Picture/recording" + of, "host that records as well", "s/s", []float64{taped.cpu}, "one run"}), nil
}

// barePicture is the CPU time per second of media of one decoder for each of so many senders, one
// scaler and one encoder.
func barePicture(streams [][][]byte, senders int, length time.Duration) (float64, error) {
	best := ladder.DefaultRungs()[0]
	enc, err := av.NewVideoEncoder(av.VideoEncoderConfig{
		Codec: "H264", Width: best.Width, Height: best.Height, FPS: best.FPS, Bitrate: best.Bitrate, MaxSlice: ladder.MaxPayload,
	})
	if err != nil {
		return 0, err
	}
	defer enc.Close()
	var decs []*av.VideoDecoder
	for range senders {
		d, err := av.NewVideoDecoder("H264")
		if err != nil {
			return 0, err
		}
		defer d.Close()
		decs = append(decs, d)
	}
	canvas := av.NewPicture(best.Width, best.Height)
	columns := 1
	for columns*columns < senders {
		columns++
	}
	cell := image.Pt(best.Width/columns&^1, best.Height/columns&^1)
	pictures := int(length.Seconds() * clipFPS)
	begin, start := used(), time.Now()
	for n := range pictures {
		// In real time, as the host works: caches are as cold, other programs as near.
		time.Sleep(time.Until(start.Add(time.Duration(n) * time.Second / clipFPS)))
		for i, d := range decs {
			p, err := d.Decode(streams[i%len(streams)][n%len(streams[i%len(streams)])], uint32(n)*3000)
			if err != nil {
				return 0, fmt.Errorf("decoding: %w", err)
			}
			if p == nil {
				continue
			}
			tile := image.Rectangle{Max: cell}.Add(image.Pt(i%columns*cell.X, i/columns*cell.Y))
			if err := av.Scale(canvas, tile, p, p.Bounds()); err != nil {
				return 0, err
			}
			p.Release()
		}
		if _, _, err := enc.Encode(canvas, uint32(n)*3000, n == 0); err != nil {
			return 0, fmt.Errorf("encoding: %w", err)
		}
	}
	return (used() - begin).Seconds() / length.Seconds(), nil
}

// work is what a running host did per second.
type work struct {
	cpu  float64 // s
	rate float64 // kbit sent to the watcher
	fps  float64 // pictures sent to the watcher
}

// hostPicture measures a running host whose room has that recording policy.
func hostPicture(streams [][][]byte, senders int, o options, recording string) (w work, err error) {
	h, err := startHost(o.program, recording)
	if err != nil {
		return w, err
	}
	defer h.stop()
	stop := make(chan struct{})
	var sending sync.WaitGroup
	defer sending.Wait()
	defer close(stop)
	for i := range senders {
		s := streams[i%len(streams)]
		p, err := h.publish(fmt.Sprintf("Sender %d", i+1))
		if err != nil {
			return w, err
		}
		defer p.peer.Close()
		sending.Go(func() {
			every(time.Second/clipFPS, stop, func(n int) {
				// An error means the call is over: the watcher's rate shows it.
				_ = p.track.WriteSample(media.Sample{Data: s[n%len(s)], Duration: time.Second / clipFPS})
			})
		})
	}
	received := &counts{}
	watcher, err := h.watch(received)
	if err != nil {
		return w, err
	}
	defer watcher.Close()

	time.Sleep(settling)
	fromBytes, fromPictures, began := received.bytes.Load(), received.pictures.Load(), time.Now()
	from, err := usedBy(h.cmd.Process.Pid)
	if err != nil {
		return w, err
	}
	if o.profile != "" {
		err = h.profile(o.profile, o.length)
	} else {
		time.Sleep(o.length)
	}
	if err != nil {
		return w, err
	}
	to, err := usedBy(h.cmd.Process.Pid)
	if err != nil {
		return w, err
	}
	took := time.Since(began).Seconds()
	w.rate = float64(received.bytes.Load()-fromBytes) * 8 / took / 1000
	w.fps = float64(received.pictures.Load()-fromPictures) / took
	w.cpu = (to - from).Seconds() / took
	if w.rate < 100 {
		return w, fmt.Errorf("the watcher received %.0f kbit/s: no meeting was measured", w.rate)
	}
	return w, nil
}

// host is a running rendezvous.
type host struct {
	cmd *exec.Cmd
	dir string
	url string
	log *bytes.Buffer

	admin string // URL of the operators' port
}

func startHost(program, recording string) (*host, error) {
	path, err := filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "rendezvous-bench")
	if err != nil {
		return nil, err
	}
	h := &host{dir: dir, log: &bytes.Buffer{}}
	ports, err := freeport.Take(2)
	if err != nil {
		return nil, err
	}
	address, admin := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	h.url, h.admin = "http://"+address, "http://"+admin
	config := "rooms: {main: {recording: '" + recording + "', max_participants: 0}}\nsip: {enabled: false}\njami: {enabled: false}\n"
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	h.cmd = exec.Command(path, "serve", "--config", filepath.Join(dir, "config.yaml"), "--data", filepath.Join(dir, "data"),
		"--web-listen", address, "--admin-listen", admin)
	h.cmd.Stdout, h.cmd.Stderr = h.log, h.log
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := h.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the host (make build makes it): %w", err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(h.url + "/r/main")
		if err == nil {
			resp.Body.Close()
			return h, nil
		}
		if time.Now().After(deadline) {
			h.stop()
			return nil, fmt.Errorf("the host did not start: %s", h.log)
		}
	}
}

// profile writes what the host spends its CPU time on into a file, for so long.
func (h *host) profile(file string, length time.Duration) error {
	resp, err := http.Get(fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", h.admin, int(length.Seconds())))
	if err != nil {
		return fmt.Errorf("profiling the host: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("profiling the host: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("profiling the host: %s: %s", resp.Status, text)
	}
	return os.WriteFile(file, text, 0o644)
}

func (h *host) stop() {
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait() // "signal: killed"
	os.RemoveAll(h.dir)
}

// publisher is a WHIP sender.
type publisher struct {
	peer  *webrtc.PeerConnection
	track *webrtc.TrackLocalStaticSample
}

func (h *host) publish(name string) (*publisher, error) {
	peer, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeH264, ClockRate: 90000,
		SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
	}, "video", "bench")
	if err != nil {
		return nil, err
	}
	transceiver, err := peer.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		return nil, err
	}
	sender := transceiver.Sender()
	go func() { // RTCP has to be read for NACKs to be answered; ends with the connection
		b := make([]byte, 1500)
		for {
			if _, _, err := sender.Read(b); err != nil {
				return
			}
		}
	}()
	return &publisher{peer, track}, h.negotiate(peer, "/whip/main?name="+regexp.MustCompile(` `).ReplaceAllString(name, "%20"))
}

// counts are what a watcher has received.
type counts struct{ bytes, pictures atomic.Int64 }

// settling is for the watcher's estimate to grow and for all tiles to be there.
const settling = 15 * time.Second

// watch is a WHEP viewer that counts what it receives.
func (h *host) watch(received *counts) (*webrtc.PeerConnection, error) {
	peer, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		if _, err := peer.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			return nil, err
		}
	}
	peer.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		b := make([]byte, 1500)
		for {
			n, _, err := t.Read(b)
			if err != nil {
				return
			}
			if t.Kind() == webrtc.RTPCodecTypeVideo {
				received.bytes.Add(int64(n))
				if b[1]&0x80 != 0 { // the marker ends a picture (RFC 6184 §5.1)
					received.pictures.Add(1)
				}
			}
		}
	})
	return peer, h.negotiate(peer, "/whep/main")
}

// negotiate posts an offer (RFC 9725 §4.2) and waits until the media are connected.
func (h *host) negotiate(peer *webrtc.PeerConnection, path string) error {
	connected := make(chan struct{})
	var once sync.Once
	peer.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(connected) })
		}
	})
	offer, err := peer.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(peer)
	if err := peer.SetLocalDescription(offer); err != nil {
		return err
	}
	<-gathered
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url+path, bytes.NewBufferString(peer.LocalDescription().SDP))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/sdp")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("%s: %s: %s", path, resp.Status, answer)
	}
	if err := peer.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}); err != nil {
		return err
	}
	select {
	case <-connected:
		return nil
	case <-ctx.Done():
		return errors.New(path + ": not connected after 30 s")
	}
}
