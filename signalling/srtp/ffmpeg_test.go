package srtp

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"rendezvous/mixer/leg"
	"rendezvous/signalling/sdes"
	"rendezvous/signalling/sdp"
)

// What FFmpeg encrypts, whose SRTP Jami's daemons have too, is decrypted: over a wrap of its sequence numbers too,
// where it goes on with one counter for all.
func TestFromFFmpeg(t *testing.T) {
	for _, suite := range []sdes.Suite{sdes.AES128CM80, sdes.AES128CM32} {
		t.Run(string(suite), func(t *testing.T) {
			t.Parallel()
			conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetReadBuffer(1<<20))
			key := sdes.New(1, suite)
			_, inline, _ := strings.Cut(key.Value(), "inline:")
			out, err := exec.CommandContext(t.Context(), "ffmpeg", "-hide_banner", "-v", "error", "-f", "lavfi", "-i", "sine=f=440:d=1:r=8000",
				"-c:a", "pcm_mulaw", "-f", "rtp", "-ssrc", "7", "-seq", "65530",
				"-srtp_out_suite", string(suite), "-srtp_out_params", inline, "srtp://"+conn.LocalAddr().String()+"?pkt_size=200").CombinedOutput()
			require.NoError(t, err, "%s", out)

			r, buf := receiver(t, key), make([]byte, 1500)
			var seqs []uint16
			sound := map[byte]bool{}
			for {
				require.NoError(t, conn.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
				n, err := conn.Read(buf)
				if err != nil {
					break
				}
				if buf[1] == 200 { // a report
					continue
				}
				got, err := r.RTP(nil, buf[:n])
				require.NoError(t, err)
				var p rtp.Packet
				require.NoError(t, p.Unmarshal(got))
				require.EqualValues(t, 7, p.SSRC)
				seqs = append(seqs, p.SequenceNumber)
				for _, b := range p.Payload {
					sound[b] = true
				}
			}
			require.Greater(t, len(seqs), 20)
			require.Equal(t, uint16(65530), seqs[0])
			require.Less(t, seqs[len(seqs)-1], uint16(1000), "over the wrap")
			require.Less(t, len(sound), 200, "the samples of a tone are no noise")
		})
	}
}

// freePair is a UDP port that is free, as is the next one.
func freePair(t *testing.T) int {
	t.Helper()
	for range 100 {
		a, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		require.NoError(t, err)
		port := a.LocalAddr().(*net.UDPAddr).Port
		b, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port + 1})
		a.Close()
		if err == nil {
			b.Close()
			return port
		}
	}
	t.Fatal("no pair of ports is free")
	return 0
}

// FFmpeg reads our description, and with the key in it what we encrypt.
func TestToFFmpeg(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	port := freePair(t) // FFmpeg's
	key := sdes.New(1, sdes.AES128CM80)
	medium := sdp.Medium{Kind: leg.Audio, Active: true, Section: "audio", Proto: "RTP/SAVP", Direction: sdp.SendRecv,
		Offered: []leg.Codec{{Name: "PCMU", ClockRate: 8000, Channels: 1}}, Crypto: []sdes.Crypto{key}}
	text := sdp.Write(sdp.Session{Origin: sdp.Origin{ID: 1, Addr: netip.MustParseAddr("127.0.0.1")}}, []sdp.Medium{medium},
		[]sdp.Local{{Port: port, RTCPPort: port + 1}}, sdp.Policy{})
	file := filepath.Join(t.TempDir(), "call.sdp")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	var heard, complaints bytes.Buffer
	ffmpeg := exec.CommandContext(ctx, "ffmpeg", "-hide_banner", "-v", "error", "-protocol_whitelist", "file,udp,rtp,srtp",
		"-i", file, "-t", "0.5", "-f", "s16le", "-")
	ffmpeg.Stdout, ffmpeg.Stderr = &heard, &complaints
	require.NoError(t, ffmpeg.Start())
	ended := make(chan error, 1)
	go func() { ended <- ffmpeg.Wait() }()

	to, err := net.Dial("udp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	require.NoError(t, err)
	defer to.Close()
	var s Sender
	require.NoError(t, s.SetKey(key))
	payload := bytes.Repeat([]byte{0x80}, 160) // the loudest sample, all along
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for seq := uint16(65000); ; seq++ {
		packet, err := (&rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 9, SequenceNumber: seq, Timestamp: uint32(seq) * 160}, Payload: payload}).Marshal()
		require.NoError(t, err)
		encrypted, err := s.RTP(packet)
		require.NoError(t, err)
		_, _ = to.Write(encrypted) // nobody may listen yet
		select {
		case err := <-ended:
			require.NoError(t, err, "%s", &complaints)
			require.Greater(t, heard.Len(), 4000)
			for b := heard.Bytes(); len(b) > 1; b = b[2:] {
				require.EqualValues(t, 32124, int16(binary.LittleEndian.Uint16(b)))
			}
			return
		case <-tick.C:
		}
	}
}
