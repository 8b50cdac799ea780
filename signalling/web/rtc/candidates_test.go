package rtc

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/pion/webrtc/v3"
	"github.com/stretchr/testify/require"

	"rendezvous/mixer/leg"
)

func candidateLine(i int, addr string, port int) string {
	return fmt.Sprintf("%d 1 udp %d %s %d typ host", i, 2130706431-i, addr, port)
}

// What is not used is not reached: an offer of a data channel, for which the page has no use, is refused.
func TestNoDataChannel(t *testing.T) {
	e, err := NewEngine(Config{Log: slog.New(slog.DiscardHandler), UDPAddr: "127.0.0.1:0", Loopback: true})
	require.NoError(t, err)
	defer e.Close()
	l := leg.New(leg.Config{})
	defer l.Close()
	p, err := e.NewPeer(PeerConfig{Log: slog.New(slog.DiscardHandler), Leg: l})
	require.NoError(t, err)
	defer p.Close()
	browser, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	require.NoError(t, err)
	defer browser.Close()
	_, err = browser.CreateDataChannel("x", nil)
	require.NoError(t, err)
	offer, err := browser.CreateOffer(nil)
	require.NoError(t, err)
	_, err = p.Answer(t.Context(), offer.SDP)
	require.ErrorIs(t, err, ErrOffer)
}

// An offer has few addresses checked, each only once, and none of this machine's for who is elsewhere.
func TestCandidates(t *testing.T) {
	far := netip.MustParseAddr("198.51.100.1")
	count := func(offer string) int { return strings.Count(offer, "a=candidate:") }
	offer := func(ufrag string, lines ...string) string {
		s := "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:" + ufrag + "\r\n"
		for _, l := range lines {
			s += "a=candidate:" + l + "\r\n"
		}
		return s + "a=end-of-candidates\r\n"
	}
	var many []string
	for i := range 400 {
		many = append(many, candidateLine(i, "192.0.2.77", 42000+i))
	}
	c := newCandidates(far)
	first := c.filter(offer("a", many...))
	require.Equal(t, maxCandidates, count(first))
	require.True(t, strings.HasPrefix(first, "v=0\r\nm=audio") && strings.HasSuffix(first, "a=end-of-candidates\r\n"))
	require.Equal(t, first, c.filter(offer("a", many...)), "the same again")
	require.False(t, c.take(candidateLine(1, "192.0.2.78", 9000)), "one more by trickling")
	require.Equal(t, maxCandidates, count(c.filter(offer("b", many...))), "after a restart")
	require.Zero(t, count(c.filter(offer("c", many...))), "after one restart too many")

	// The system is asked about few of those that are not taken, too: so many later even a good one is not looked at.
	c = newCandidates(far)
	for i := range maxLooked {
		require.False(t, c.take(candidateLine(i, "127.0.0.1", 42000+i)))
	}
	require.False(t, c.take(candidateLine(1, "192.0.2.77", 9000)), "after as many bad ones as are looked at")
	require.Equal(t, 1, count(c.filter(offer("b", candidateLine(1, "192.0.2.77", 9000)))), "after a restart")

	for line, want := range map[string]bool{
		candidateLine(1, "192.0.2.77", 1000):        true,
		candidateLine(1, "2001:db8::1", 1000):       true,
		candidateLine(1, "127.0.0.1", 1000):         false,
		candidateLine(1, "::1", 1000):               false,
		candidateLine(1, "0.0.0.0", 1000):           false,
		candidateLine(1, "239.255.255.250", 1900):   false,
		candidateLine(1, "192.0.2.77", 0):           false,
		candidateLine(1, "3f9c0c2e-a.local", 50000): false,
		"1 1 udp 1 192.0.2.77":                      false,
		"":                                          false,
	} {
		require.Equal(t, want, newCandidates(far).take(line), line)
	}
	require.True(t, newCandidates(netip.MustParseAddr("127.0.0.1")).take(candidateLine(1, "127.0.0.1", 1000)), "a browser on this machine")
}
