package rtppipe

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/time/rate"

	"rendezvous/mixer/leg"
	"rendezvous/signalling/sdes"
	"rendezvous/signalling/sdp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ leg.Pipe = (*Pipe)(nil)

func counters() Counters {
	c := func() prometheus.Counter { return prometheus.NewCounter(prometheus.CounterOpts{Name: "x"}) }
	return Counters{In: c(), Out: c(), Malformed: c(), Stranger: c(), Unauthentic: c()}
}

func open(t *testing.T) *Pipe {
	t.Helper()
	p, err := Open(Ports{Addr: netip.MustParseAddr("127.0.0.1")}, counters(), &Consent{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func local(p *Pipe) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(p.Port()))
}

// agreed is a medium whose peer awaits packets at an address.
func agreed(remote netip.AddrPort, mux bool) *sdp.Medium {
	m := &sdp.Medium{
		Offered: []leg.Codec{{Name: "PCMU", PayloadType: 0}}, Remote: remote, Mux: mux,
		RemoteRTCP: netip.AddrPortFrom(remote.Addr(), remote.Port()+1),
	}
	if mux {
		m.RemoteRTCP = remote
	}
	return m
}

// connect points two pipes at each other.
func connect(a, b *Pipe, mux bool) {
	for _, p := range []*Pipe{a, b} {
		p.consent.Give(netip.MustParseAddr("127.0.0.1"))
	}
	a.SetPeer(agreed(local(b), mux), netip.MustParseAddr("127.0.0.1"))
	b.SetPeer(agreed(local(a), mux), netip.MustParseAddr("127.0.0.1"))
}

func packet(t *testing.T, seq uint16, pt uint8, payload string) []byte {
	t.Helper()
	b, err := (&rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 7, SequenceNumber: seq, PayloadType: pt}, Payload: []byte(payload)}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func report(t *testing.T) []byte {
	t.Helper()
	b, err := rtcp.Marshal([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 9}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// read reads one RTP packet with a deadline.
func read(t *testing.T, p *Pipe) []byte {
	t.Helper()
	p.rtp.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 1500)
	n, err := p.ReadRTP(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

func TestPacketsBothWays(t *testing.T) {
	for _, suite := range []sdes.Suite{"", sdes.AES128CM80, sdes.AES128CM32, sdes.AES128GCM, sdes.AES256GCM} {
		for _, mux := range []bool{false, true} {
			name := string(suite)
			if mux {
				name += " multiplexed"
			}
			t.Run(name, func(t *testing.T) {
				a, b := open(t), open(t)
				connect(a, b, mux)
				if suite != "" {
					ka, kb := sdes.New(1, suite), sdes.New(1, suite)
					if err := a.SetKeys(ka, kb); err != nil {
						t.Fatal(err)
					}
					if err := b.SetKeys(kb, ka); err != nil {
						t.Fatal(err)
					}
				}
				want := packet(t, 1, 0, "hello")
				if err := a.WriteRTP(want); err != nil {
					t.Fatal(err)
				}
				if got := read(t, b); !bytes.Equal(got, want) {
					t.Errorf("got %x, want %x", got, want)
				}
				report, err := rtcp.Marshal([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 9}})
				if err != nil {
					t.Fatal(err)
				}
				got := make(chan []byte, 1)
				a.OnRTCP(func(b []byte) { got <- bytes.Clone(b) })
				if err := b.WriteRTCP(report); err != nil {
					t.Fatal(err)
				}
				if mux { // RTCP comes through the RTP socket, so somebody must read that
					if err := b.WriteRTP(packet(t, 2, 0, "after")); err != nil {
						t.Fatal(err)
					}
					read(t, a)
				}
				select {
				case b := <-got:
					require.Equal(t, report, b)
				case <-time.After(10 * time.Second):
					t.Error("no report")
				}
			})
		}
	}
}

func TestNewKeysAndOldKeys(t *testing.T) {
	a, b := open(t), open(t)
	connect(a, b, false)
	k1, k2, k3 := sdes.New(1, sdes.AES128CM80), sdes.New(1, sdes.AES128CM80), sdes.New(1, sdes.AES128CM80)
	for _, err := range []error{a.SetKeys(k1, k2), b.SetKeys(k2, k1)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	send := func(seq uint16) {
		t.Helper()
		if err := a.WriteRTP(packet(t, seq, 0, "x")); err != nil {
			t.Fatal(err)
		}
		read(t, b)
	}
	send(1)
	// The same keys again keep the counters: no packet is taken for a replay.
	for _, err := range []error{a.SetKeys(k1, k2), b.SetKeys(k2, k1)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	send(2)
	// b knows of the new key first: packets with the old one still count.
	if err := b.SetKeys(k2, k3); err != nil {
		t.Fatal(err)
	}
	send(3)
	if err := a.SetKeys(k3, k2); err != nil {
		t.Fatal(err)
	}
	send(4)
	if err := a.SetKeys(k1, sdes.Crypto{}); err == nil {
		t.Error("keys for one direction were accepted")
	}
}

func TestPlainPacketsAreRefusedWhenEncrypted(t *testing.T) {
	a, b := open(t), open(t)
	connect(a, b, false)
	ka, kb := sdes.New(1, sdes.AES128CM80), sdes.New(1, sdes.AES128CM80)
	if err := b.SetKeys(kb, ka); err != nil {
		t.Fatal(err)
	}
	if err := a.WriteRTP(packet(t, 1, 0, "in the clear")); err != nil {
		t.Fatal(err)
	}
	if err := a.SetKeys(ka, kb); err != nil {
		t.Fatal(err)
	}
	want := packet(t, 2, 0, "encrypted")
	if err := a.WriteRTP(want); err != nil {
		t.Fatal(err)
	}
	if got := read(t, b); !bytes.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// What is not known, not RTP or of a type that was not agreed does not get through.
func TestRubbishIsDropped(t *testing.T) {
	p := open(t)
	peer, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(local(p)))
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	p.SetPeer(agreed(peer.LocalAddr().(*net.UDPAddr).AddrPort(), false), netip.MustParseAddr("127.0.0.1"))
	for _, b := range [][]byte{{}, {0}, bytes.Repeat([]byte{0xff}, 50), packet(t, 1, 96, "not agreed"), make([]byte, 2000)} {
		peer.Write(b)
	}
	want := packet(t, 9, 0, "good")
	peer.Write(want)
	if got := read(t, p); !bytes.Equal(got, want) {
		t.Errorf("got %x", got)
	}
}

// Packets go to where the peer's come from, not to where it said.
func TestSymmetric(t *testing.T) {
	p := open(t)
	peer, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(local(p)))
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	// It says something else, as phones behind NAT do; its signalling comes from where it is.
	p.SetPeer(agreed(addr("192.0.2.99:5000"), false), netip.MustParseAddr("127.0.0.1"))
	peer.Write(packet(t, 1, 0, "from elsewhere"))
	read(t, p)
	if err := p.WriteRTP(packet(t, 1, 0, "back")); err != nil {
		t.Fatal(err)
	}
	peer.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 100)
	if n, err := peer.Read(buf); err != nil || !bytes.Contains(buf[:n], []byte("back")) {
		t.Errorf("read %q, %v", buf[:n], err)
	}
}

// Pictures are not sent to an address from which nothing of the call ever came.
func TestVideoNeedsConsent(t *testing.T) {
	victim, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer victim.Close()
	consent := &Consent{}
	video, err := Open(Ports{Addr: netip.MustParseAddr("127.0.0.1")}, counters(), consent)
	if err != nil {
		t.Fatal(err)
	}
	defer video.Close()
	m := agreed(victim.LocalAddr().(*net.UDPAddr).AddrPort(), false)
	m.Kind = leg.Video
	video.SetPeer(m, netip.MustParseAddr("127.0.0.66"))
	write := func(text string) {
		t.Helper()
		if err := video.WriteRTP(packet(t, 1, 0, text)); err != nil {
			t.Fatal(err)
		}
	}
	write("unasked")
	consent.Give(netip.MustParseAddr("127.0.0.1")) // sound came from there
	write("asked")
	victim.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 100)
	if n, err := victim.Read(buf); err != nil || string(buf[12:n]) != "asked" {
		t.Errorf("got %q, %v", buf[:n], err)
	}
}

func TestCloseEndsReads(t *testing.T) {
	p := open(t)
	done := make(chan error, 1)
	go func() { _, err := p.ReadRTP(make([]byte, 100)); done <- err }()
	p.OnRTCP(func([]byte) {})
	if err := p.Close(); err != nil { // waits for who listens to RTCP
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("read returned without error")
	}
}

func TestPortRange(t *testing.T) {
	ports := Ports{Addr: netip.MustParseAddr("127.0.0.1"), Min: 40100, Max: 40107}
	var pipes []*Pipe
	for range 4 {
		p, err := Open(ports, counters(), &Consent{})
		if err != nil {
			t.Fatalf("pair %d: %v", len(pipes), err)
		}
		defer p.Close()
		if p.Port()%2 != 0 || p.Port() < 40100 || p.Port() > 40106 {
			t.Errorf("port %d", p.Port())
		}
		pipes = append(pipes, p)
	}
	if _, err := Open(ports, counters(), &Consent{}); !errors.Is(err, ErrNoPorts) {
		t.Errorf("a fifth pair: %v", err)
	}
}

func TestLatch(t *testing.T) {
	said, elsewhere, attacker := addr("192.0.2.7:5000"), addr("198.51.100.2:7000"), addr("203.0.113.3:9000")
	type step struct {
		from      netip.AddrPort
		seq       uint16
		authentic bool
		after     time.Duration
		want      bool
	}
	for _, test := range []struct {
		name  string
		steps []step
	}{
		{"from where it said", []step{{said, 1, false, 0, true}}},
		{"same host, other port", []step{{addr("192.0.2.7:6000"), 1, false, 0, true}}},
		{"where the signalling is", []step{{addr("198.51.100.1:6000"), 1, false, 0, true}}},
		{"a stranger is put on probation", []step{
			{elsewhere, 1, false, 0, false}, {elsewhere, 2, false, 0, false}, {elsewhere, 3, false, 0, false}, {elsewhere, 4, false, 0, true}}},
		{"gaps start the probation anew", []step{
			{elsewhere, 1, false, 0, false}, {elsewhere, 2, false, 0, false}, {elsewhere, 9, false, 0, false}, {elsewhere, 10, false, 0, false}, {elsewhere, 11, false, 0, false}, {elsewhere, 12, false, 0, true}}},
		{"proof needs no probation", []step{{elsewhere, 1, true, 0, true}}},
		{"nobody takes a living caller's place", []step{
			{said, 1, false, 0, true}, {attacker, 1, false, time.Second, false}, {attacker, 2, false, 0, false}, {attacker, 3, false, 0, false},
			{attacker, 4, false, 0, false}, {attacker, 5, false, 0, false}, {said, 2, false, 0, true}}},
		{"not even from the same host", []step{{said, 1, false, 0, true}, {addr("192.0.2.7:6000"), 2, false, time.Second, false}}},
		{"after silence another port of it", []step{{said, 1, false, 0, true}, {addr("192.0.2.7:6000"), 2, false, 4 * time.Second, true}}},
		{"who sends on after the call before, until the one comes that signalling has named", []step{
			{addr("192.0.2.7:6000"), 900, false, 0, true}, {addr("192.0.2.7:6000"), 901, false, 0, true}, {said, 1, false, 0, true},
			{addr("192.0.2.7:6000"), 902, false, 0, false}, {said, 2, false, 0, true}}},
		{"after silence nobody else", []step{
			{said, 1, false, 0, true}, {attacker, 1, false, time.Minute, false}, {attacker, 2, false, 0, false}, {attacker, 3, false, 0, false},
			{attacker, 4, false, 0, false}, {attacker, 5, false, 0, false}, {said, 2, false, 0, true}}},
		{"after silence proof", []step{{said, 1, true, 0, true}, {elsewhere, 2, true, time.Minute, true}}},
		{"proof moves at once", []step{{said, 1, true, 0, true}, {elsewhere, 2, true, 0, true}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var l latch
			l.expect(said, netip.MustParseAddr("198.51.100.1"))
			now := time.Unix(1000, 0)
			for i, s := range test.steps {
				now = now.Add(s.after)
				if ok, _ := l.admit(s.from, 7, s.seq, s.authentic, now); ok != s.want {
					t.Fatalf("step %d: admitted %v", i+1, ok)
				}
			}
		})
	}
}

// Signalling moves the latch: that of a phone behind NAT has the same description in another network.
func TestLatchOpensAgain(t *testing.T) {
	said, moved := addr("10.0.0.7:5000"), addr("198.51.100.9:7000")
	var l latch
	now := time.Unix(1000, 0)
	l.expect(said, netip.MustParseAddr("198.51.100.1"))
	l.admit(addr("198.51.100.1:7000"), 7, 1, false, now)
	if ok, _ := l.admit(moved, 7, 2, false, now.Add(time.Minute)); ok {
		t.Error("moved without signalling")
	}
	l.expect(said, moved.Addr())
	if ok, _ := l.admit(moved, 7, 3, false, now.Add(time.Minute)); !ok {
		t.Error("did not move with signalling")
	}
}

// Sound goes to who has not asked for it for two seconds of a call, whatever it is told in between.
func TestSoundNeedsConsent(t *testing.T) {
	victim, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer victim.Close()
	at := victim.LocalAddr().(*net.UDPAddr).AddrPort()
	consent := &Consent{}
	got := func() (n int) {
		buf := make([]byte, 100)
		for {
			victim.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			if _, err := victim.Read(buf); err != nil {
				return n
			}
			n++
		}
	}
	total := 0
	for _, signalling := range []string{"127.0.0.66", "127.0.0.1", "127.0.0.66"} { // an address in a datagram proves nothing
		p, err := Open(Ports{Addr: netip.MustParseAddr("127.0.0.1")}, counters(), consent)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		p.SetPeer(agreed(at, true), netip.MustParseAddr(signalling))
		for i := range uint16(70) {
			if err := errors.Join(p.WriteRTP(packet(t, i, 0, "sound")), p.WriteRTCP(report(t))); err != nil {
				t.Fatal(err)
			}
		}
		total += got()
	}
	if total != maxUnasked {
		t.Errorf("%d packets came unasked, want %d", total, maxUnasked)
	}

	// And all calls together have a bound.
	together := rate.NewLimiter(0, 7)
	for range 2 {
		p, err := Open(Ports{Addr: netip.MustParseAddr("127.0.0.1")}, counters(), &Consent{Unasked: together})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		p.SetPeer(agreed(at, true), netip.MustParseAddr("127.0.0.66"))
		for i := range uint16(5) {
			if err := p.WriteRTP(packet(t, i, 0, "sound")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := got(); n != 7 {
		t.Errorf("of two calls %d packets came unasked, want 7", n)
	}
}

// Whoever is elsewhere cannot have packets sent to this machine itself.
func TestOwnAddress(t *testing.T) {
	p := open(t)
	p.SetPeer(agreed(addr("127.0.0.1:5000"), false), netip.MustParseAddr("198.51.100.1"))
	if p.Remote().IsValid() {
		t.Errorf("sends to %v", p.Remote())
	}
}

func TestPacketsDoNotAllocate(t *testing.T) {
	for _, test := range []struct {
		name  string
		suite sdes.Suite
		most  float64
	}{
		{"plain", "", 0},
		{"encrypted", sdes.AES128CM80, 9}, // pion/srtp's, of encrypting and decrypting one packet
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := open(t), open(t)
			connect(a, b, false)
			if test.suite != "" {
				ka, kb := sdes.New(1, test.suite), sdes.New(1, test.suite)
				for _, err := range []error{a.SetKeys(ka, kb), b.SetKeys(kb, ka)} {
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			pkt := packet(t, 0, 0, "0123456789012345678901234567890123456789")
			buf := make([]byte, 1500)
			seq := uint16(0)
			n := testing.AllocsPerRun(200, func() {
				seq++
				pkt[2], pkt[3] = byte(seq>>8), byte(seq)
				if err := a.WriteRTP(pkt); err != nil {
					t.Fatal(err)
				}
				if _, err := b.ReadRTP(buf); err != nil {
					t.Fatal(err)
				}
			})
			if n > test.most {
				t.Errorf("%.1f allocations to send and receive a packet, want at most %.0f", n, test.most)
			}
		})
	}
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte{0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3}, false)
	f.Add([]byte{0x80, 201, 0, 1, 0, 0, 0, 7}, true)
	f.Add([]byte{0x90, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0xbe, 0xde, 0xff, 0xff}, true)
	f.Fuzz(func(t *testing.T, b []byte, secure bool) {
		if len(b) > maxPacket {
			return
		}
		p := &Pipe{count: counters(), consent: &Consent{}, now: time.Now}
		p.SetPeer(agreed(addr("192.0.2.7:5000"), false), netip.Addr{})
		if secure {
			k := sdes.New(1, sdes.AES128GCM)
			if err := p.SetKeys(k, k); err != nil {
				t.Fatal(err)
			}
		}
		buf := make([]byte, 1500)
		if isRTCP(b) {
			p.takeRTCP(b, addr("192.0.2.7:5000"), true)
		} else if len(b) >= 12 && b[0]>>6 == 2 && len(b) <= len(buf) {
			if n, ok := p.takeRTP(buf, b, addr("192.0.2.7:5000")); ok && n > len(b) {
				t.Fatalf("%d bytes became %d", len(b), n)
			}
		}
	})
}
