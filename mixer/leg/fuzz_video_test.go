package leg

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"rendezvous/mixer/av"
)

var makeStreams = flag.Bool("streams", false, "have ffmpeg make testdata/streams anew")

// Of the streams in testdata/streams: how ffmpeg makes each, a few pictures of one second.
var streams = []struct {
	name, codec, encode string
}{
	{"h264-baseline", "H264", "-s 160x120 -c:v libx264 -profile:v baseline -g 4"},
	{"h264-high", "H264", "-s 176x144 -c:v libx264 -profile:v high -bf 2 -refs 4 -g 8 -x264opts weightp=2:8x8dct=1"},
	{"h264-slices", "H264", "-s 160x120 -c:v libx264 -profile:v main -tune zerolatency -g 4 -x264opts slices=4"},
	{"h264-interlaced", "H264", "-s 176x144 -c:v libx264 -flags +ildct+ilme -x264opts tff=1 -g 6"},
	{"h264-422-10", "H264", "-s 128x96 -pix_fmt yuv422p10le -c:v libx264 -g 5"},
	{"h264-444", "H264", "-s 128x96 -pix_fmt yuv444p -c:v libx264 -g 5"},
	{"h264-gray", "H264", "-s 98x70 -pix_fmt gray -c:v libx264 -g 5"},
	{"vp8", "VP8", "-s 160x120 -c:v libvpx -b:v 200k -g 5"},
	{"vp8-partitions", "VP8", "-s 178x146 -c:v libvpx -b:v 300k -slices 4 -error-resilient 1 -auto-alt-ref 1 -lag-in-frames 8 -g 6"},
	{"h265", "H265", "-s 160x120 -c:v libx265 -x265-params log-level=none:keyint=5"},
	{"h265-10", "H265", "-s 160x120 -pix_fmt yuv420p10le -c:v libx265 -x265-params log-level=none:keyint=6:bframes=2:weightp=1:wpp=1"},
}

// videoReceive is what the leg of the fuzz test takes; the streams have these payload types.
var videoReceive = []Codec{h264, vp8, {Name: "H265", PayloadType: 98, ClockRate: 90000}}

// FuzzVideo gives a leg in a mix a real stream, spoilt on its way, through its depacketisers to FFmpeg's
// decoders, and reads each picture that comes out. edits say what becomes of which packet, four bytes each.
func FuzzVideo(f *testing.F) {
	if *makeStreams {
		for _, s := range streams {
			if err := makeStream(s.name, s.codec, s.encode); err != nil {
				f.Fatal(err)
			}
		}
	}
	var all [][][]byte
	for i, s := range streams {
		packets, err := readStream(s.name)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, packets)
		f.Add(uint8(i), []byte{})
		f.Add(uint8(i), []byte{0, 0, 3, 7, 1, 1, 5, 90, 2, 3, 40, 1, 3, 6, 2, 1, 4, 7, 9, 200})
		f.Add(uint8(i), []byte{0, 2, 15, 1, 5, 0, 30, 2, 6, 9, 1, 77, 7, 4, 1, 0})
	}
	dst := av.NewPicture(64, 48)
	f.Fuzz(func(t *testing.T, which uint8, edits []byte) {
		intact := len(edits) == 0
		packets := spoil(all, int(which)%len(all), edits)
		l := New(Config{})
		s, video := attach(t, l, Media{Kind: Video, Receive: videoReceive, SSRC: 1})
		l.Port().Enter(testRungs, nil)
		now := time.Unix(1000, 0)
		var packet rtp.Packet
		var last uint64
		seen := 0
		for _, raw := range packets {
			now = now.Add(7 * time.Millisecond)
			s.receive(&packet, raw, now)
			p, serial := s.Picture()
			if p == nil {
				continue
			}
			if serial != last {
				seen++
				last = serial
				if p.Width <= 0 || p.Height <= 0 || p.Width*p.Height > av.MaxPixels {
					t.Errorf("a picture of %dx%d", p.Width, p.Height)
				}
				// Every byte that the picture promises can be read.
				if err := av.Scale(dst, dst.Bounds(), p, p.Bounds()); err != nil {
					t.Error(err)
				}
			}
			p.Release()
		}
		if intact && seen < 3 {
			t.Errorf("%d pictures of an intact stream", seen)
		}
		video.close()
		l.Close()
	})
}

// spoil returns the packets of a stream as edits leave them: kind, packet, place and value of each.
func spoil(all [][][]byte, which int, edits []byte) [][]byte {
	const header = 12 // of ffmpeg's RTP packets
	out := slices.Clone(all[which])
	other := func(value byte) []byte {
		o := all[int(value)%len(all)]
		return o[int(value/16)%len(o)]
	}
	for ; len(edits) >= 4 && len(out) > 0; edits = edits[4:] {
		i, at, value := int(edits[1])%len(out), int(edits[2]), edits[3]
		p := slices.Clone(out[i])
		body := p[min(header, len(p)):]
		switch edits[0] % 10 {
		case 0: // near the beginning: payload structure, parameter sets, slice headers
			if len(body) > 0 {
				body[at%min(len(body), 64)] ^= value | 1
			}
		case 1: // anywhere
			if len(body) > 0 {
				body[at*len(body)/256] ^= value | 1
			}
		case 2: // cut
			p = p[:min(len(p), header+1+at*len(body)/256)]
		case 3: // lost
			out = slices.Delete(out, i, i+1)
			continue
		case 4: // the content of another stream's packet, in its place
			o := other(value)
			p = append(p[:min(header, len(p))], o[min(header, len(o)):]...)
		case 5: // repeated
			out = slices.Insert(out, i, out[i])
			continue
		case 6: // in another's place
			j := at % len(out)
			out[i], out[j] = out[j], out[i]
			continue
		case 7: // filled
			for k := at * len(body) / 256; k < min(len(body), at*len(body)/256+8); k++ {
				body[k] = value
			}
		case 8: // longer
			p = append(p, slices.Repeat([]byte{value}, 1+at)...)
		case 9: // marker, or another timestamp: pictures run together
			if len(p) > 7 {
				p[1] ^= 0x80
				p[7] += value
			}
		}
		out[i] = p
	}
	return out
}

func streamFile(name string) string { return filepath.Join("testdata/streams", name+".rtp") }

// readStream reads the packets of a stream, each after its length in 16 bits.
func readStream(name string) (packets [][]byte, err error) {
	b, err := os.ReadFile(streamFile(name))
	for err == nil && len(b) > 0 {
		if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
			return nil, fmt.Errorf("%s ends in the middle of a packet", streamFile(name))
		}
		n := 2 + int(binary.BigEndian.Uint16(b))
		packets, b = append(packets, b[2:n:n]), b[n:]
	}
	return packets, err
}

// makeStream has ffmpeg encode and packetise a stream.
func makeStream(name, codec, encode string) error {
	i := slices.IndexFunc(videoReceive, func(c Codec) bool { return c.Name == codec })
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetReadBuffer(1 << 20); err != nil {
		return err
	}
	args := strings.Fields("-v error -f lavfi -i testsrc2=s=320x240:r=12:d=1 " + encode)
	args = append(args, "-ssrc", "7", "-seq", "1", "-payload_type", fmt.Sprint(videoReceive[i].PayloadType),
		"-f", "rtp", fmt.Sprintf("rtp://%v?pkt_size=400", conn.LocalAddr()))
	if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ffmpeg: %w\n%s", err, out)
	}
	var file []byte
	if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	for b := make([]byte, 1500); ; {
		n, err := conn.Read(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return err
		}
		file = append(binary.BigEndian.AppendUint16(file, uint16(n)), b[:n]...)
	}
	return errors.Join(os.MkdirAll("testdata/streams", 0o755), os.WriteFile(streamFile(name), file, 0o644))
}
