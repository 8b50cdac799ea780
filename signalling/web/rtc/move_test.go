package rtc

import (
	"context"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pion/ice/v2"
	"github.com/pion/stun"
	"github.com/stretchr/testify/require"

	"rendezvous/internal/eventually"
	"rendezvous/mixer/leg"
)

// mobile is the ICE of a browser, controlling, at one address.
type mobile struct {
	conn             *net.UDPConn
	ours, theirs     string // ICE user names: the browser's, the host's
	ourPwd, theirPwd string
	to               *net.UDPAddr
	answered         chan struct{}
	stopped          chan struct{}
	tieBreaker       ice.AttrControlling
}

var (
	ufragLine = regexp.MustCompile(`a=ice-ufrag:(\S+)`)
	pwdLine   = regexp.MustCompile(`a=ice-pwd:(\S+)`)
	hostLine  = regexp.MustCompile(`a=candidate:\S+ 1 udp \d+ (\S+ \d+) typ host`)
)

// moveTo is the browser at a new address, with what offer and answer say.
func moveTo(t *testing.T, offer, answer string) *mobile {
	t.Helper()
	value := func(of *regexp.Regexp, text string) string {
		found := of.FindStringSubmatch(text)
		require.NotNil(t, found, "%s in %s", of, text)
		return found[1]
	}
	to, err := net.ResolveUDPAddr("udp4", strings.Replace(value(hostLine, answer), " ", ":", 1))
	require.NoError(t, err)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	m := &mobile{
		conn: conn, to: to, answered: make(chan struct{}), stopped: make(chan struct{}), tieBreaker: 7,
		ours: value(ufragLine, offer), ourPwd: value(pwdLine, offer), theirs: value(ufragLine, answer), theirPwd: value(pwdLine, answer),
	}
	go m.serve()
	t.Cleanup(m.leave)
	return m
}

// leave gives the address up.
func (m *mobile) leave() {
	_ = m.conn.Close() // the second time it is closed already
	<-m.stopped
}

// serve answers the host's checks.
func (m *mobile) serve() {
	defer close(m.stopped)
	buf := make([]byte, 2000)
	for answered := false; ; {
		n, from, err := m.conn.ReadFromUDP(buf)
		if err != nil {
			return
		}
		in := &stun.Message{Raw: append([]byte(nil), buf[:n]...)}
		if !stun.IsMessage(in.Raw) || in.Decode() != nil {
			continue // the host's DTLS
		}
		switch in.Type.Class {
		case stun.ClassSuccessResponse:
			if !answered {
				answered = true
				close(m.answered)
			}
		case stun.ClassRequest:
			out, err := stun.Build(in, stun.BindingSuccess, &stun.XORMappedAddress{IP: from.IP, Port: from.Port},
				stun.NewShortTermIntegrity(m.ourPwd), stun.Fingerprint)
			if err == nil {
				_, _ = m.conn.WriteToUDP(out.Raw, from)
			}
		}
	}
}

// check sends one with USE-CANDIDATE, as a browser does each time on the path that it uses.
func (m *mobile) check(t *testing.T) {
	t.Helper()
	msg, err := stun.Build(stun.BindingRequest, stun.TransactionID, stun.NewUsername(m.theirs+":"+m.ours), ice.UseCandidate(),
		m.tieBreaker, ice.PriorityAttr(1853824767), stun.NewShortTermIntegrity(m.theirPwd), stun.Fingerprint)
	require.NoError(t, err)
	_, err = m.conn.WriteToUDP(msg.Raw, m.to)
	require.NoError(t, err)
}

// A browser is followed to another address: where it goes on by the path that it has, as behind a router that gives it
// another port, and where it has to restart ICE because its own address is gone.
func TestFollowsToAnotherAddress(t *testing.T) {
	e, err := NewEngine(Config{Log: slog.New(slog.DiscardHandler), UDPAddr: "127.0.0.1:0", Loopback: true})
	require.NoError(t, err)
	defer e.Close()
	l := leg.New(leg.Config{})
	defer l.Close()
	p, err := e.NewPeer(PeerConfig{Log: slog.New(slog.DiscardHandler), Leg: l})
	require.NoError(t, err)
	defer p.Close()
	answer, err := p.Answer(context.Background(), offer)
	require.NoError(t, err)

	reached := func(m *mobile, what string) {
		t.Helper()
		began := time.Now()
		port := m.conn.LocalAddr().(*net.UDPAddr).Port
		eventually.True(t, what, func() bool {
			m.check(t)
			pair, err := p.pc.GetTransceivers()[0].Receiver().Transport().ICETransport().GetSelectedCandidatePair()
			return err == nil && pair != nil && int(pair.Remote.Port) == port
		})
		t.Logf("%s after %v", what, time.Since(began).Round(time.Millisecond))
		<-m.answered
	}
	first := moveTo(t, offer, answer)
	reached(first, "the first address is used")
	second := moveTo(t, offer, answer)
	reached(second, "another port is used")
	first.leave()
	second.leave()

	again := strings.NewReplacer("a=ice-ufrag:abcd", "a=ice-ufrag:efgh", "a=ice-pwd:abcd", "a=ice-pwd:efgh").Replace(offer)
	answer2, err := p.Answer(context.Background(), again)
	require.NoError(t, err)
	require.NotEqual(t, ufragLine.FindString(answer), ufragLine.FindString(answer2), "the host restarts ICE, too")
	reached(moveTo(t, again, answer2), "after a restart the new address is used")
}
