package rtc

import (
	"bytes"
	"fmt"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rendezvous/internal/eventually"
)

// Functions that goroutines of a leg begin with.
const (
	decrypts        = "github.com/pion/srtp/v2.(*session).start.func1"
	sends           = "rendezvous/mixer/leg.(*sender).run"
	readsPictures   = "rendezvous/mixer/leg.(*Stream).start.func3"
	watchesPictures = "rendezvous/mixer/leg.(*Stream).start.func4"
	pionFirstPacket = "github.com/pion/webrtc/v3.(*PeerConnection).startReceiver.func1"
)

// ofEngine are what an engine has; just begun, they may not be seen before the legs are.
var ofEngine = []string{"rendezvous/signalling/web/rtc.(*socket).read", "rendezvous/signalling/web/rtc.(*clock).run"}

// reasons are why a leg has goroutines, by the function that each begins with. pion has its own, but for the last of them, for each connection
// whatever is sent on it; the lines are of webrtc v3.3.6, ice v2.3.38, dtls v2.2.12, srtp v2.0.20 and transport v2.2.10.
var reasons = map[string]string{
	"context.(*cancelCtx).propagateCancel.func2":                        "pion: ice gather.go:55, a context of the agent's own kind, until the next gathering",
	"github.com/pion/ice/v2.(*Agent).taskLoop":                          "pion: ice agent.go:377, owns the agent's state",
	"github.com/pion/ice/v2.(*Agent).connectivityChecks":                "pion: ice agent.go:414, the timer of checks and consent",
	"github.com/pion/ice/v2.(*candidateBase).recvLoop":                  "pion: ice candidate_base.go:211, reads a local candidate",
	"github.com/pion/webrtc/v3/internal/mux.(*Mux).readLoop":            "pion: webrtc internal/mux/mux.go:50, tells DTLS, SRTP and SRTCP apart",
	"github.com/pion/dtls/v2.(*Conn).handshake.func2":                   "pion: dtls conn.go:870, the handshake's state, for retransmissions",
	"github.com/pion/dtls/v2.(*Conn).handshake.func3":                   "pion: dtls conn.go:880, reads DTLS",
	"github.com/pion/transport/v2/connctx.(*connCtx).ReadContext.func1": "pion: transport connctx/connctx.go:81, to break off that reading",
	decrypts: "pion: srtp session.go:131, decrypts RTP, and another one RTCP",
	"github.com/pion/webrtc/v3.(*PeerConnection).undeclaredRTPMediaProcessor":  "pion: webrtc peerconnection.go:1673, RTP of an unknown SSRC",
	"github.com/pion/webrtc/v3.(*PeerConnection).undeclaredRTCPMediaProcessor": "pion: webrtc peerconnection.go:1674, RTCP likewise",
	pionFirstPacket: "webrtc peerconnection.go:1243, waits for a track's first packet, which here does not come",
	sends:           "paces what is sent, and waits for nobody else's network",
	readsPictures:   "reads pictures, and decodes them",
	watchesPictures: "asks for what is missing of pictures though no packet comes",
}

// goroutines counts those there are by the function that each began with.
func goroutines(t testing.TB) map[string]int {
	t.Helper()
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		t.Fatal(err)
	}
	counted := make(map[string]int)
	for stack := range strings.SplitSeq(b.String(), "\n\n") {
		lines := strings.Split(strings.TrimSpace(stack), "\n")
		if strings.HasPrefix(lines[0], "goroutine profile") {
			lines = lines[1:]
		}
		number, _, _ := strings.Cut(lines[0], " @")
		n, err := strconv.Atoi(number)
		if err != nil {
			continue
		}
		for _, l := range slices.Backward(lines) { // the outermost first, but for the runtime's and sync's own
			frame := strings.Split(l, "\t")
			if len(frame) < 3 || strings.HasPrefix(frame[2], "runtime.") || strings.HasPrefix(frame[2], "sync.") {
				continue
			}
			counted[offset.ReplaceAllString(frame[2], "")] += n
			break
		}
	}
	return counted
}

var offset = regexp.MustCompile(`\+0x[0-9a-f]+$`)

// TestGoroutines says which ones a leg has, all with a reason. One more means that something waits of its own that need not: what comes is
// handed on by what decrypts it, and what is due by the engine's clock.
func TestGoroutines(t *testing.T) {
	const legs = 5
	own := map[string]map[string]int{
		listens: {sends: 1}, watches: {sends: 1}, speaks: {sends: 1},
		meets: {sends: 1, readsPictures: 1, watchesPictures: 1, pionFirstPacket: 1},
	}
	for kind, want := range own {
		t.Run(kind, func(t *testing.T) {
			c := newCrowd(t)
			before, began := goroutines(t), memory()
			for range legs {
				c.join(kind)
			}
			eventually.NoError(t, func() error {
				more := goroutines(t)
				for name, n := range before {
					more[name] -= n
				}
				all := 0
				for name := range reasons {
					n := want[name]
					if strings.HasPrefix(reasons[name], "pion: ") {
						n = 1
					}
					if name == decrypts {
						n = 2
					}
					if more[name] != n*legs {
						return fmt.Errorf("%d of %s, not %d: %s", more[name], name, n*legs, reasons[name])
					}
					all += n
					delete(more, name)
				}
				for name, n := range more {
					if n > 0 && !slices.Contains(ofEngine, name) {
						return fmt.Errorf("there is no reason for %d of %s", n, name)
					}
				}
				t.Logf("%d goroutines a leg", all)
				return nil
			})
			now := memory()
			t.Logf("%d kB of heap and %d kB of stacks a leg", (int64(now.HeapAlloc)-int64(began.HeapAlloc))/legs/1000,
				(int64(now.StackInuse)-int64(began.StackInuse))/legs/1000)
		})
	}
}

func memory() (m runtime.MemStats) {
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

// TestNobodyIsLeftBehind after many have come and gone.
func TestNobodyIsLeftBehind(t *testing.T) {
	c := newCrowd(t)
	c.join(meets) // and what is made once
	before := runtime.NumGoroutine()
	for i := range 100 {
		c.join([]string{listens, watches, speaks, meets}[i%4])
		if len(c.peers) > 5 { // some stay for a while
			c.leave()
		}
	}
	for len(c.peers) > 0 {
		c.leave()
	}
	eventually.True(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
}
