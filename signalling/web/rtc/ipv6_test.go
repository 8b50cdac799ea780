package rtc

import (
	"log/slog"
	"net"
	"regexp"
	"testing"
	"time"

	"github.com/pion/ice/v2"
	"github.com/pion/webrtc/v3"
	"github.com/stretchr/testify/require"

	"rendezvous/internal/anyaddr/anyaddrtest"
	"rendezvous/mixer/leg"
)

// On a host of IPv6 alone, browsers are offered its address for UDP and TCP, and find it.
func TestIPv6Only(t *testing.T) {
	if !anyaddrtest.IPv6Only(t) {
		return
	}
	for _, test := range []struct {
		name    string
		network webrtc.NetworkType
	}{{"UDP", webrtc.NetworkTypeUDP6}, {"TCP", webrtc.NetworkTypeTCP6}} {
		t.Run(test.name, func(t *testing.T) {
			e, err := NewEngine(Config{Log: slog.New(slog.DiscardHandler), UDPAddr: ":0", TCPAddr: ":0", Loopback: true})
			require.NoError(t, err)
			defer e.Close()
			l := leg.New(leg.Config{})
			defer l.Close()
			p, err := e.NewPeer(PeerConfig{Log: slog.New(slog.DiscardHandler), Leg: l})
			require.NoError(t, err)
			defer p.Close()

			var settings webrtc.SettingEngine
			settings.SetIncludeLoopbackCandidate(true)
			settings.SetNetworkTypes([]webrtc.NetworkType{test.network})
			settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
			browser, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithMediaEngine(engineCodecs(t, e))).NewPeerConnection(webrtc.Configuration{})
			require.NoError(t, err)
			defer browser.Close()
			_, err = browser.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio)
			require.NoError(t, err)
			connected := make(chan struct{})
			browser.OnICEConnectionStateChange(func(s webrtc.ICEConnectionState) {
				if s == webrtc.ICEConnectionStateConnected {
					close(connected)
				}
			})
			offer, err := browser.CreateOffer(nil)
			require.NoError(t, err)
			gathered := webrtc.GatheringCompletePromise(browser)
			require.NoError(t, browser.SetLocalDescription(offer))
			<-gathered
			answer, err := p.Answer(t.Context(), browser.LocalDescription().SDP)
			require.NoError(t, err)
			hosts := regexp.MustCompile(`a=candidate:\S+ 1 (\S+) \d+ (\S+) \d+ typ host`).FindAllStringSubmatch(answer, -1)
			found := map[string]bool{}
			for _, c := range hosts {
				found[c[1]+" "+c[2]] = true
			}
			require.Equal(t, map[string]bool{"udp " + anyaddrtest.Address: true, "tcp " + anyaddrtest.Address: true}, found)
			require.NoError(t, browser.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}))
			select {
			case <-connected:
			case <-time.After(30 * time.Second):
				t.Fatal("the browser does not find us")
			}
		})
	}
	_, err := net.Dial("udp4", "127.0.0.1:9")
	require.Error(t, err)
}

// engineCodecs are the codecs that an engine knows, for its other end.
func engineCodecs(t *testing.T, e *Engine) *webrtc.MediaEngine {
	t.Helper()
	m, err := e.mediaEngine()
	require.NoError(t, err)
	return m
}
