package network

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"rendezvous/internal/eventually"
	"rendezvous/internal/netlink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers each datagram at a port of an address with itself, until the test ends.
func echo(t *testing.T, namespace string, on netip.Addr) (at netip.AddrPort) {
	t.Helper()
	var c *net.UDPConn
	require.NoError(t, Do(namespace, func() (err error) {
		c, err = net.ListenUDP("udp4", &net.UDPAddr{IP: on.AsSlice()})
		return err
	}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		var b [2000]byte
		for {
			k, from, err := c.ReadFromUDPAddrPort(b[:])
			if err != nil {
				return
			}
			_, _ = c.WriteToUDPAddrPort(b[:k], from) // what is lost is counted
		}
	}()
	t.Cleanup(func() {
		c.Close()
		<-done
	})
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// ping sends packets of 1000 bytes from a client to the host, 20 ms apart, and returns how many came back.
func ping(t *testing.T, l *Link, to netip.AddrPort, packets int) (back int) {
	t.Helper()
	var c *net.UDPConn
	require.NoError(t, Do(l.Namespace(), func() (err error) {
		c, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
		return err
	}))
	defer c.Close()
	var b [1000 - 28]byte
	for range packets {
		_, err := c.Write(b[:])
		require.NoError(t, err)
		time.Sleep(20 * time.Millisecond) // so that they do not queue
	}
	require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
	for back < packets {
		if _, err := c.Read(b[:]); err != nil {
			break
		}
		back++
	}
	return back
}

func took(p Packet) time.Duration { return p.Out.Sub(p.In) }

func TestPathsAreAsSet(t *testing.T) {
	n, err := New(1, "ann", "bob")
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Close()) }()
	ann, bob := n.Link("ann"), n.Link("bob")
	to := echo(t, n.HostNamespace(), Host)

	require.Equal(t, 5, ping(t, ann, to, 5))
	require.Empty(t, bob.Up.Trace(), "somebody else's packets")
	for _, p := range append(ann.Up.Trace(), ann.Down.Trace()...) {
		require.Equal(t, 1000, p.Size)
		require.Equal(t, netlink.Kept, p.Fate)
		require.Less(t, took(p), 30*time.Millisecond) // on a busy machine; on an idle one it is 0.1
	}

	// Delay, and 1000 bytes at 800 kbit/s.
	bob.Down.Set(Settings{Settings: netlink.Settings{Rate: 800_000, Delay: 40 * time.Millisecond}})
	require.Equal(t, 5, ping(t, bob, to, 5))
	for _, p := range bob.Down.Trace() {
		require.Equal(t, 10*time.Millisecond, p.Queued)
		require.InDelta(t, float64(50*time.Millisecond), float64(took(p)), float64(20*time.Millisecond))
	}

	bob.Up.Set(Settings{Settings: netlink.Settings{Blackout: true}})
	require.Equal(t, 0, ping(t, bob, to, 2))
	require.Equal(t, netlink.InBlackout, bob.Up.Trace()[5].Fate)
	bob.Up.Set(Settings{})

	// Another address, and none.
	other := bob.Addr().Next()
	require.NoError(t, bob.SetAddr(other))
	require.Equal(t, 1, ping(t, bob, to, 1))
	out, err := exec.Command("ip", "-n", bob.Namespace(), "-4", "addr", "show", "n0").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), other.String()+"/24")
	require.NotContains(t, string(out), bob.Addr().String()+"/24")

	p50, p99 := n.Late()
	t.Logf("packets came late by %v (median) and %v (99 %%)", p50, p99)
}

func TestCable(t *testing.T) {
	n, err := New(1, "ann", "bob")
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Close()) }()
	ann, bob := n.Link("ann"), n.Link("bob")
	c, err := NewCable(1, End{ann.Namespace(), "eth0"}, End{bob.Namespace(), "eth0"})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	c.Down.Set(Settings{Settings: netlink.Settings{Delay: 30 * time.Millisecond}})
	require.NoError(t, ip("-n", ann.Namespace(), "addr", "add", "10.55.0.1/24", "dev", "eth0"))
	require.NoError(t, ip("-n", bob.Namespace(), "addr", "add", "10.55.0.2/24", "dev", "eth0"))
	at := echo(t, bob.Namespace(), netip.MustParseAddr("10.55.0.2"))
	require.Equal(t, 5, ping(t, ann, at, 5))
	var delays []time.Duration
	eventually.True(t, "the last packet is written down", func() bool { // which its answer may overtake
		delays = nil
		for _, p := range c.Down.Trace() {
			if p.Size == 1000 && !p.Out.IsZero() { // ARP goes this way, too
				delays = append(delays, took(p))
			}
		}
		return len(delays) == 5
	})
	for _, d := range delays {
		require.InDelta(t, float64(30*time.Millisecond), float64(d), float64(20*time.Millisecond))
	}
}

func TestNothingStaysBehind(t *testing.T) {
	n, err := New(1, "ann")
	require.NoError(t, err)
	prefix := n.prefix
	have, err := namespaces()
	require.NoError(t, err)
	require.Contains(t, have, prefix+"ann")
	require.NoError(t, n.Close())
	require.NoError(t, n.Close())
	have, err = namespaces()
	require.NoError(t, err)
	require.NotContains(t, strings.Join(have, " "), prefix)

	// Of a process that has gone.
	gone := exec.Command("true")
	require.NoError(t, gone.Run())
	stale := family + strconv.Itoa(gone.Process.Pid) + "-1-host"
	require.NoError(t, ip("netns", "add", stale))
	require.NoError(t, sweep())
	have, err = namespaces()
	require.NoError(t, err)
	require.NotContains(t, have, stale)
}

func TestClassify(t *testing.T) {
	udp := func(payload ...byte) []byte {
		return append(append([]byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17}, make([]byte, 18)...), payload...)
	}
	rtp := classify(udp(0x80, 0x80|111, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10))
	require.Equal(t, Packet{Size: 40, Kind: RTP, PT: 111, Marker: true, Seq: 0x0102, TS: 0x03040506, SSRC: 0x0708090a}, rtp)
	require.Equal(t, Packet{Size: 36, Kind: RTCP, PT: 201, SSRC: 7}, classify(udp(0x81, 201, 0, 1, 0, 0, 0, 7)))
	require.Equal(t, STUN, classify(udp(bytes.Repeat([]byte{0}, 20)...)).Kind)
	require.Equal(t, DTLS, classify(udp(bytes.Repeat([]byte{22}, 20)...)).Kind)
	require.Equal(t, Other, classify(udp(0x80)).Kind)
	require.Equal(t, Other, classify(nil).Kind)
	tcp := udp(1, 2, 3, 4)
	tcp[9] = 6
	require.Equal(t, TCP, classify(tcp).Kind)
}

func TestSoundAndPictureGoDifferentWays(t *testing.T) {
	s := Settings{SoundLate: 1, PictureLate: 2}
	require.Equal(t, time.Duration(1), s.late(&Packet{Kind: RTP, PT: 111}))
	require.Equal(t, time.Duration(2), s.late(&Packet{Kind: RTP, PT: 96}))
	require.Equal(t, time.Duration(0), s.late(&Packet{Kind: STUN}))
}

func TestTrace(t *testing.T) {
	begin := time.Now()
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	var trace []Packet
	for i := range 100 { // 10 ms apart; the queue is 300 ms between 200 and 400 ms, and at 300 ms one is lost
		p := Packet{In: at(10 * i), Size: 125}
		if i >= 20 && i < 40 {
			p.Queued = 300 * time.Millisecond
		}
		if p.Out = p.In.Add(p.Queued); i == 30 {
			p.Out, p.Fate = time.Time{}, netlink.Lost
		}
		trace = append(trace, p)
	}
	require.Len(t, Between(trace, at(100), at(200)), 10)
	require.Empty(t, Between(trace, at(2000), at(3000)))
	require.Equal(t, 200*time.Millisecond, Over(trace, 150*time.Millisecond))
	require.Zero(t, Over(trace, 300*time.Millisecond))
	require.Len(t, Queues(trace), 99)
	require.InDelta(t, 100_000, Rate(trace, at(0), at(200)), 1)
	require.InDelta(t, 0, Rate(trace, at(200), at(400)), 1)
}

func TestPicturesOfPackets(t *testing.T) {
	begin := time.Now()
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	rtp := func(ssrc, ts uint32, size, in, out int) Packet {
		p := Packet{Kind: RTP, SSRC: ssrc, TS: ts, Size: size, In: at(in)}
		if out > 0 {
			p.Out = at(out)
		}
		return p
	}
	trace := []Packet{
		rtp(1, 0, 100, 0, 1), rtp(2, 0, 1000, 0, 5), rtp(2, 0, 1000, 0, 9),
		rtp(1, 960, 100, 20, 0), rtp(2, 3000, 1000, 33, 40), rtp(2, 3000, 1000, 33, 0),
		rtp(1, 1920, 100, 40, 41), rtp(2, 6000, 1000, 66, 70), {Kind: STUN, Size: 1 << 20},
	}
	require.EqualValues(t, 2, Video(trace))
	require.Equal(t, []time.Time{at(9), at(70)}, Pictures(trace, 2))
	require.InDelta(t, 1.0/3, SoundLost(trace, 2), 1e-9)
	require.InDelta(t, 1, SoundLost(nil, 2), 1e-9)
}

// A thread goes on after it was in a namespace, and is home: what was started from it would be killed with it.
func TestThreadsGoOn(t *testing.T) {
	n, err := New(1, "one")
	require.NoError(t, err)
	defer n.Close()
	l := n.Link("one")
	home, err := os.Readlink("/proc/self/ns/net")
	require.NoError(t, err)
	var threads []string
	for range 20 {
		require.NoError(t, Do(l.Namespace(), func() error {
			thread := fmt.Sprint("/proc/self/task/", unix.Gettid())
			there, err := os.Readlink(thread + "/ns/net")
			require.NotEqual(t, home, there)
			threads = append(threads, thread)
			return err
		}))
	}
	for _, thread := range threads {
		is, err := os.Readlink(thread + "/ns/net")
		require.NoError(t, err)
		require.Equal(t, home, is)
	}
}
