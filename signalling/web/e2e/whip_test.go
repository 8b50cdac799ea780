package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v3"
	"github.com/pion/webrtc/v3/pkg/media"
	"github.com/pion/webrtc/v3/pkg/media/ivfreader"

	"rendezvous/conference/settings"
	"rendezvous/internal/lab/browser"
	"rendezvous/signalling/web/webtest"
)

// film makes ten seconds of one colour in VP8, with ffmpeg.
func film(t *testing.T, colour string) string {
	t.Helper()
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Fatalf("this test needs Debian's ffmpeg package: %v", err)
	}
	path := filepath.Join(t.TempDir(), "film.ivf")
	out, err := exec.Command(ffmpeg, "-v", "error", "-f", "lavfi", "-i", "color=c="+colour+":s=640x360:r=25:d=10",
		"-c:v", "libvpx", "-deadline", "realtime", "-g", "25", "-b:v", "500k", path).CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	return path
}

// publisher is a WHIP client of few lines.
type publisher struct {
	pc       *webrtc.PeerConnection
	resource string
	etag     string
	stop     context.CancelFunc
	done     chan error
}

func publish(t *testing.T, endpoint, bearer, file string) *publisher {
	t.Helper()
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	m := &webrtc.MediaEngine{}
	must(t, m.RegisterDefaultCodecs())
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{})
	must(t, err)
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}, "video", "whip")
	must(t, err)
	_, err = pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	must(t, err)
	connected := make(chan struct{})
	ready := sync.OnceFunc(func() { close(connected) }) // a restart connects once more
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			ready()
		}
	})
	gathered := webrtc.GatheringCompletePromise(pc)
	offer, err := pc.CreateOffer(nil)
	must(t, err)
	must(t, pc.SetLocalDescription(offer))
	<-gathered

	resp, answer := webtest.Do(t, "POST", endpoint, pc.LocalDescription().SDP, map[string]string{"Content-Type": "application/sdp", "Authorization": "Bearer " + bearer})
	if resp.StatusCode != 201 || resp.Header.Get("Content-Type") != "application/sdp" || resp.Header.Get("ETag") == "" {
		t.Fatalf("POST: %d %v: %s", resp.StatusCode, resp.Header, answer)
	}
	if links := resp.Header.Values("Link"); len(links) != 1 || !strings.Contains(links[0], `rel="ice-server"`) {
		t.Errorf("Link headers: %q", links)
	}
	must(t, pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}))
	ctx, cancel := context.WithCancel(context.Background())
	p := &publisher{pc: pc, resource: resp.Header.Get("Location"), etag: resp.Header.Get("ETag"), stop: cancel, done: make(chan error, 1)}
	go func() { p.done <- play(ctx, connected, track, file) }()
	t.Cleanup(func() {
		cancel()
		if err := <-p.done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("playing the film: %v", err)
		}
		must(t, pc.GracefulClose())
	})
	return p
}

// play sends a film in a loop.
func play(ctx context.Context, connected <-chan struct{}, track *webrtc.TrackLocalStaticSample, file string) error {
	select {
	case <-connected:
	case <-ctx.Done():
		return ctx.Err()
	}
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		ivf, _, err := ivfreader.NewWith(f)
		if err != nil {
			return err
		}
		for {
			frame, _, err := ivf.ParseNextFrame()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := track.WriteSample(media.Sample{Data: frame, Duration: 40 * time.Millisecond}); err != nil {
				return err
			}
		}
	}
}

// A program publishes by WHIP, a browser in the meeting sees it, and another watches the
// whole by WHEP without being in it.
func TestWHIPAndWHEP(t *testing.T) {
	h := webtest.Open(t, []settings.Room{{ID: "lab", PIN: "1234"}}, withICEServer)
	room, err := h.Host.Room("lab")
	must(t, err)
	p := publish(t, h.Door.URL()+"/whip/lab?name=Encoder", "1234", film(t, "0x28A028"))
	ann := start(t, browser.Options{Color: red, Tone: 500})
	must(t, ann.Join(h.Door.Addresses("lab")[0], "Ann", "1234"))
	sees(t, ann, "Encoder", green)

	// ICE: nothing without If-Match, nothing with an old one, candidates with the right one,
	// and a restart with other credentials.
	frag := map[string]string{"Content-Type": "application/trickle-ice-sdpfrag"}
	patch := func(match, body string) (*http.Response, string) {
		header := map[string]string{"If-Match": match}
		maps.Copy(header, frag)
		if match == "" {
			delete(header, "If-Match")
		}
		return webtest.Do(t, "PATCH", h.Door.URL()+p.resource, body, header)
	}
	const candidate = "m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 2130706431 127.0.0.1 50000 typ host\r\n"
	for _, c := range []struct {
		match, body string
		status      int
	}{{"", candidate, 428}, {`"old"`, candidate, 412}, {p.etag, "hello", 400}, {p.etag, candidate, 204}} {
		if resp, body := patch(c.match, c.body); resp.StatusCode != c.status {
			t.Errorf("PATCH with If-Match %q: %d, want %d: %s", c.match, resp.StatusCode, c.status, body)
		}
	}
	must(t, p.restart(patch))
	sees(t, ann, "Encoder", green)

	// WHEP: the page of the same host plays it as any page could.
	viewer := start(t, browser.Options{Color: blue, Tone: 900})
	must(t, viewer.Open(h.Door.URL()+"/"))
	var status int
	must(t, viewer.Eval(fmt.Sprintf(watch, "1234"), &status))
	if status != 201 {
		t.Fatalf("WHEP answered %d", status)
	}
	must(t, viewer.WaitFor(`document.querySelector('#whep').videoWidth > 0 && document.querySelector('#whep').getVideoPlaybackQuality().totalVideoFrames > 10`, 30*time.Second))
	heardIn(t, viewer, "#whep", 500)
	for _, q := range room.Info().Participants {
		if q.Name == "Viewer" && (q.Role.String() != "observer" || len(q.Streams) > 0 && !q.Streams[0].Rect.Empty()) {
			t.Errorf("a viewer is on the canvas: %+v", q)
		}
	}
	must(t, viewer.Eval(`fetch(whep.resource, {method: 'DELETE'}).then((r) => r.status)`, &status))
	if status != 200 {
		t.Errorf("DELETE: %d", status)
	}
	must(t, ann.WaitPeople(2, 10*time.Second))

	// The publisher goes.
	if resp, _ := webtest.Do(t, "DELETE", h.Door.URL()+p.resource, "", nil); resp.StatusCode != 200 {
		t.Errorf("DELETE: %d", resp.StatusCode)
	}
	if resp, _ := webtest.Do(t, "DELETE", h.Door.URL()+p.resource, "", nil); resp.StatusCode != 404 {
		t.Errorf("DELETE again: %d", resp.StatusCode)
	}
	must(t, ann.WaitPeople(1, 10*time.Second))
}

// restart gives the connection new ICE credentials by way of a fragment.
func (p *publisher) restart(patch func(match, body string) (*http.Response, string)) error {
	offer, err := p.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: true})
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(offer); err != nil {
		return err
	}
	<-gathered
	var body strings.Builder
	var mid bool
	for l := range strings.SplitSeq(p.pc.LocalDescription().SDP, "\r\n") {
		if strings.HasPrefix(l, "m=") {
			mid = true
			fmt.Fprintf(&body, "%s\r\n", l)
		}
		if mid && (strings.HasPrefix(l, "a=ice-ufrag") || strings.HasPrefix(l, "a=ice-pwd") || strings.HasPrefix(l, "a=mid") || strings.HasPrefix(l, "a=candidate")) {
			fmt.Fprintf(&body, "%s\r\n", l)
		}
	}
	resp, answer := patch("*", body.String())
	if resp.StatusCode != 200 || resp.Header.Get("ETag") == p.etag {
		return fmt.Errorf("restart: %d, ETag %s: %s", resp.StatusCode, resp.Header.Get("ETag"), answer)
	}
	// A client puts the fragment's lines into the answer that it has.
	var out []string
	for l := range strings.SplitSeq(p.pc.CurrentRemoteDescription().SDP, "\r\n") {
		if strings.HasPrefix(l, "a=candidate") || strings.HasPrefix(l, "a=end-of") {
			continue
		}
		for _, key := range []string{"a=ice-ufrag:", "a=ice-pwd:"} {
			if strings.HasPrefix(l, key) {
				i := strings.Index(answer, key)
				l, _, _ = strings.Cut(answer[i:], "\r\n")
			}
		}
		out = append(out, l)
		if strings.HasPrefix(l, "a=mid:") {
			for c := range strings.SplitSeq(answer, "\r\n") {
				if strings.HasPrefix(c, "a=candidate") {
					out = append(out, c)
				}
			}
		}
	}
	return p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: strings.Join(out, "\r\n")})
}

// watch is a WHEP client in a page.
const watch = `(async () => {
  const pc = new RTCPeerConnection();
  const v = Object.assign(document.createElement('video'), {id: 'whep', autoplay: true, srcObject: new MediaStream()});
  document.body.append(v);
  pc.ontrack = (e) => v.srcObject.addTrack(e.track);
  pc.addTransceiver('audio', {direction: 'recvonly'});
  pc.addTransceiver('video', {direction: 'recvonly'});
  await pc.setLocalDescription();
  await new Promise((f) => { if (pc.iceGatheringState === 'complete') f(); else pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && f(); });
  const r = await fetch('/whep/lab', {method: 'POST', headers: {'Content-Type': 'application/sdp', Authorization: 'Bearer %s'}, body: pc.localDescription.sdp});
  if (r.status === 201) await pc.setRemoteDescription({type: 'answer', sdp: await r.text()});
  window.whep = {pc, resource: r.headers.get('Location')};
  return r.status;
})()`

func heardIn(t *testing.T, b *browser.Browser, selector string, hz float64) {
	t.Helper()
	var levels []float64
	for range 8 {
		s, err := b.Listen(selector, time.Second)
		must(t, err)
		if levels = append(levels, s.Level(hz)); levels[len(levels)-1] > -35 {
			return
		}
	}
	t.Errorf("%.0f Hz is not heard: %.0f dB", hz, levels)
}
