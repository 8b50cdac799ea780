package rtc

import (
	"crypto/aes"
	"crypto/cipher"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"rendezvous/internal/eventually"
	"rendezvous/mixer/audio"
)

// used is the CPU time of this process, its own and what the system did for it.
func used(t testing.TB) (own, system time.Duration) {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())
}

// BenchmarkListeners sends sound to listeners of another process for some seconds, in real time, and reports the CPU time of each, of a
// second, in milliseconds; and that of as many packets to the same addresses that are encrypted and sent and nothing else.
func BenchmarkListeners(b *testing.B) {
	const seconds = 4
	payload := make([]byte, 80)
	payload[0] = 0x78
	ticks := func(b *testing.B, listeners int, each func()) {
		runtime.GC()
		tick := time.NewTicker(audio.FrameDuration)
		defer tick.Stop()
		own, system := used(b)
		for range seconds * int(time.Second/audio.FrameDuration) {
			<-tick.C
			each()
		}
		then, thenSystem := used(b)
		per := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 / seconds / float64(listeners) }
		b.ReportMetric(per(then-own)+per(thenSystem-system), "ms/s/listener")
	}
	for name, n := range map[string]int{"50": 50, "200": 200} {
		b.Run(name, func(b *testing.B) {
			c := newCrowd(b)
			for range n {
				c.join(listens)
			}
			b.Run("legs", func(b *testing.B) {
				for b.Loop() {
					ticks(b, n, func() {
						for _, l := range c.legs {
							l.Port().WritePacket(audio.Packet{Payload: payload, Samples: audio.FrameSamples}, audio.Format{Codec: "opus"})
						}
					})
				}
			})
			b.Run("bare", func(b *testing.B) {
				var to []netip.AddrPort
				for _, p := range c.peers {
					pair, err := p.pc.GetTransceivers()[0].Receiver().Transport().ICETransport().GetSelectedCandidatePair()
					require.NoError(b, err)
					to = append(to, netip.AddrPortFrom(netip.MustParseAddr(pair.Remote.Address), pair.Remote.Port))
				}
				out, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
				require.NoError(b, err)
				defer out.Close()
				block, err := aes.NewCipher(make([]byte, 16))
				require.NoError(b, err)
				sealer, err := cipher.NewGCM(block)
				require.NoError(b, err)
				buf, nonce := make([]byte, 300), make([]byte, sealer.NonceSize())
				h := rtp.Header{Version: 2, PayloadType: 111}
				for b.Loop() {
					ticks(b, n, func() {
						h.SequenceNumber++
						for _, at := range to {
							size, err := h.MarshalTo(buf)
							require.NoError(b, err)
							_, err = out.WriteToUDPAddrPort(sealer.Seal(buf[:size], nonce, payload, buf[:size]), at)
							require.NoError(b, err)
						}
					})
				}
			})
		})
	}
}

// BenchmarkSpeakers reports the CPU time of each of fifty who send sound, of a second, in milliseconds, until it is in their jitter buffers.
func BenchmarkSpeakers(b *testing.B) {
	const speakers, seconds = 50, 4
	c := newCrowd(b)
	for range speakers {
		c.join(speaks)
	}
	for b.Loop() {
		own, system := used(b)
		time.Sleep(seconds * time.Second)
		then, thenSystem := used(b)
		b.ReportMetric(float64((then-own+thenSystem-system).Microseconds())/1000/seconds/speakers, "ms/s/speaker")
	}
}

// BenchmarkWrite sends packets of sound to one listener of another process.
func BenchmarkWrite(b *testing.B) {
	write := packets(b)
	b.ReportAllocs()
	for b.Loop() {
		write()
	}
}

// packets sends one packet of sound at each call to a listener of another process.
func packets(t testing.TB) (write func()) {
	t.Helper()
	c := newCrowd(t)
	c.join(listens)
	var track *localTrack
	for _, l := range c.peers[0].lines {
		track = l.local
	}
	h, payload := rtp.Header{Version: 2, PayloadType: 111}, make([]byte, 80)
	return func() {
		h.SequenceNumber++
		h.Timestamp += audio.FrameSamples
		if err := track.write(&h, payload); err != nil {
			t.Fatal(err)
		}
	}
}

// What is allocated for a packet is pion's: the pair of candidates, which a closure might fill in (ice v2.3.38, Conn.Write), when it was
// sent (candidateBase.setLastSent), and the nonce (srtp v2.0.20, srtpCipherAeadAesGcm.encryptRTP).
func TestWriteAllocations(t *testing.T) {
	write := packets(t)
	// What the listener reports is handled meanwhile.
	eventually.True(t, "no more than pion's three allocations", func() bool { return testing.AllocsPerRun(500, write) <= 3 })
}
