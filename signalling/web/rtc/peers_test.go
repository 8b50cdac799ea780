package rtc

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v3"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rendezvous/mixer/leg"
)

// peersEnv makes a process of this test the peers, so that what a leg costs is counted without them.
const peersEnv = "RENDEZVOUS_TEST_PEERS"

func TestMain(m *testing.M) {
	if os.Getenv(peersEnv) != "" {
		if err := bePeers(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "peers:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// What a peer offers.
const (
	listens = "listens" // takes sound
	watches = "watches" // takes sound and picture
	speaks  = "speaks"  // takes sound and sends it
	meets   = "meets"   // sound and picture both ways, of which they send sound
)

// toPeers and fromPeers are what the two processes say to each other, a line of JSON each.
type (
	toPeers struct {
		Kind   string `json:",omitempty"` // a new peer is to offer
		Answer string `json:",omitempty"` // to the newest offer
		Leave  bool   `json:",omitempty"` // the oldest peer
	}
	fromPeers struct {
		Offer     string `json:",omitempty"`
		Connected bool   `json:",omitempty"`
		Left      bool   `json:",omitempty"`
	}
)

// bePeers makes peers until in ends.
func bePeers(in io.Reader, out io.Writer) error {
	said, answers := json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out)
	var peers []*webrtc.PeerConnection
	connected := make(chan struct{}, 1)
	for {
		var order toPeers
		if err := said.Decode(&order); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		switch {
		case order.Kind != "":
			pc, err := newPeer(order.Kind, connected)
			if err != nil {
				return err
			}
			peers = append(peers, pc)
			if err := answers.Encode(fromPeers{Offer: pc.LocalDescription().SDP}); err != nil {
				return err
			}
		case order.Answer != "":
			pc := peers[len(peers)-1]
			if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: order.Answer}); err != nil {
				return err
			}
			<-connected
			if err := answers.Encode(fromPeers{Connected: true}); err != nil {
				return err
			}
		case order.Leave:
			if err := peers[0].Close(); err != nil {
				return err
			}
			peers = peers[1:]
			if err := answers.Encode(fromPeers{Left: true}); err != nil {
				return err
			}
		}
	}
}

// newPeer is a peer with its offer, and says when it is connected. It reads what it is sent, reports of it, and sends sound if that
// is its kind.
func newPeer(kind string, connected chan<- struct{}) (*webrtc.PeerConnection, error) {
	m := &webrtc.MediaEngine{}
	if err := m.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	chain := &interceptor.Registry{}
	if err := webrtc.RegisterDefaultInterceptors(m, chain); err != nil {
		return nil, err
	}
	if err := webrtc.ConfigureTWCCHeaderExtensionSender(m, chain); err != nil {
		return nil, err
	}
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(chain), webrtc.WithSettingEngine(settings)).
		NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		b := make([]byte, 1500)
		for {
			if _, _, err := track.Read(b); err != nil {
				return
			}
		}
	})
	var track *webrtc.TrackLocalStaticRTP
	recvonly := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}
	if kind == listens || kind == watches {
		_, err = pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio, recvonly)
	} else if track, err = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "a", "a"); err == nil {
		_, err = pc.AddTrack(track)
	}
	if err != nil {
		return nil, err
	}
	switch kind {
	case watches:
		_, err = pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, recvonly)
	case meets:
		_, err = pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo)
	}
	if err != nil {
		return nil, err
	}
	stopped := make(chan struct{})
	var connect, stop sync.Once
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		switch s {
		case webrtc.PeerConnectionStateConnected:
			connect.Do(func() {
				connected <- struct{}{}
				if track != nil {
					go speak(track, stopped)
				}
			})
		case webrtc.PeerConnectionStateClosed: // of which pion tells twice at times
			stop.Do(func() { close(stopped) })
		}
	})
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return nil, err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		return nil, err
	}
	<-gathered
	return pc, nil
}

// speak sends a packet of sound each 20 ms.
func speak(track *webrtc.TrackLocalStaticRTP, stopped <-chan struct{}) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	payload := make([]byte, 80)
	payload[0] = 0x78
	for seq := uint16(1); ; seq++ {
		select {
		case <-tick.C:
			_ = track.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: seq, Timestamp: uint32(seq) * 960}, Payload: payload})
		case <-stopped:
			return
		}
	}
}

// crowd is an engine with peers of the other process.
type crowd struct {
	t       testing.TB
	engine  *Engine
	metrics *leg.Metrics
	legs    []*leg.Leg
	peers   []*Peer
	say     *json.Encoder
	hear    *json.Decoder
}

func newCrowd(t testing.TB) *crowd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), peersEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	e, err := NewEngine(Config{Log: slog.New(slog.DiscardHandler), UDPAddr: "127.0.0.1:0", Loopback: true})
	require.NoError(t, err)
	c := &crowd{t: t, engine: e, metrics: leg.NewMetrics(nil), say: json.NewEncoder(in), hear: json.NewDecoder(out)}
	t.Cleanup(func() {
		for len(c.peers) > 0 {
			c.close()
		}
		require.NoError(t, e.Close())
		require.NoError(t, in.Close())
		require.NoError(t, cmd.Wait())
	})
	return c
}

// join brings a peer in and waits until both sides are connected.
func (c *crowd) join(kind string) *leg.Leg {
	c.t.Helper()
	connected := make(chan struct{}, 1)
	l := leg.New(leg.Config{Metrics: c.metrics})
	p, err := c.engine.NewPeer(PeerConfig{Log: slog.New(slog.DiscardHandler), Leg: l, OnState: func(s State) {
		if s == Connected {
			select {
			case connected <- struct{}{}:
			default:
			}
		}
	}})
	require.NoError(c.t, err)
	c.legs, c.peers = append(c.legs, l), append(c.peers, p)
	require.NoError(c.t, c.say.Encode(toPeers{Kind: kind}))
	var from fromPeers
	require.NoError(c.t, c.hear.Decode(&from))
	answer, err := p.Answer(context.Background(), from.Offer)
	require.NoError(c.t, err)
	require.NoError(c.t, c.say.Encode(toPeers{Answer: answer}))
	require.NoError(c.t, c.hear.Decode(&from))
	require.True(c.t, from.Connected)
	<-connected
	return l
}

// close closes our side of the first peer.
func (c *crowd) close() {
	c.peers[0].Close()
	c.legs[0].Close()
	c.peers, c.legs = c.peers[1:], c.legs[1:]
}

// leave has the first peer leave, on both sides.
func (c *crowd) leave() {
	c.t.Helper()
	c.close()
	var from fromPeers
	require.NoError(c.t, c.say.Encode(toPeers{Leave: true}))
	require.NoError(c.t, c.hear.Decode(&from))
	require.True(c.t, from.Left)
}
