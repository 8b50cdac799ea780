package rtc

import (
	"crypto/aes"
	"crypto/cipher"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"rendezvous/mixer/audio"
)

// used is the CPU time of this process.
func used(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkListeners sends sound to listeners of another process for some seconds, in real time, and reports the CPU time of a
// listener, of a second, in milliseconds; and that of as many packets that are encrypted and sent and nothing else.
func BenchmarkListeners(b *testing.B) {
	const seconds = 4
	payload := make([]byte, 80)
	payload[0] = 0x78
	ticks := func(each func(frame int)) float64 {
		runtime.GC()
		tick := time.NewTicker(audio.FrameDuration)
		defer tick.Stop()
		began := used(b)
		for frame := range seconds * int(time.Second/audio.FrameDuration) {
			<-tick.C
			each(frame)
		}
		return float64((used(b) - began).Microseconds()) / 1000 / seconds
	}
	for name, n := range map[string]int{"50": 50, "200": 200} {
		b.Run(name, func(b *testing.B) {
			c := newCrowd(b)
			for range n {
				c.join(listens)
			}
			for b.Loop() {
				took := ticks(func(int) {
					for _, l := range c.legs {
						l.Port().WritePacket(audio.Packet{Payload: payload, Samples: audio.FrameSamples}, audio.Format{Codec: "opus"})
					}
				})
				b.ReportMetric(took/float64(n), "ms/s/listener")
			}
		})
	}
	b.Run("bare", func(b *testing.B) {
		const n = 50
		in, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		require.NoError(b, err)
		defer in.Close()
		out, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		require.NoError(b, err)
		defer out.Close()
		to := in.LocalAddr().(*net.UDPAddr).AddrPort()
		block, err := aes.NewCipher(make([]byte, 16))
		require.NoError(b, err)
		sealer, err := cipher.NewGCM(block)
		require.NoError(b, err)
		buf, nonce := make([]byte, 300), make([]byte, sealer.NonceSize())
		for b.Loop() {
			seq := uint16(0)
			took := ticks(func(int) {
				for i := range uint32(n) {
					h := rtp.Header{Version: 2, PayloadType: 111, SequenceNumber: seq, SSRC: i}
					size, err := h.MarshalTo(buf)
					require.NoError(b, err)
					_, err = out.WriteToUDPAddrPort(sealer.Seal(buf[:size], nonce, payload, buf[:size]), to)
					require.NoError(b, err)
				}
				seq++
			})
			b.ReportMetric(took/n, "ms/s/listener")
		}
	})
}
