package leg

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
)

// plain hands payloads on as they are; a payload that begins with 'K' makes a key frame, and one that begins with 'B' is the first of
// another picture.
type plain struct{}

func (plain) append(dst, p []byte) ([]byte, error) { return append(dst, p...), nil }
func (plain) begins(p []byte) bool                 { return p[0] == 'K' || p[0] == 'B' }
func (plain) key(pic []byte) bool                  { return len(pic) > 0 && pic[0] == 'K' }

type in struct {
	seq    uint16
	ts     uint32
	data   string
	marker bool
	at     time.Duration
}

// assembled are the pictures that come of packets; "!" before one says that packets were lost before it.
func assembled(t *testing.T, packets []in) []string {
	t.Helper()
	a := assembler{depack: plain{}, wait: 150 * ms}
	start := time.Unix(1000, 0)
	var got []string
	for _, p := range packets {
		h := rtp.Header{SequenceNumber: p.seq, Timestamp: p.ts, Marker: p.marker}
		a.push(&h, []byte(p.data), start.Add(p.at), func(pic picture) {
			s := string(pic.data)
			if pic.key != (s[0] == 'K') {
				t.Errorf("picture %q: key = %v", s, pic.key)
			}
			if pic.afterLoss {
				s = "!" + s
			}
			got = append(got, s)
		})
	}
	return got
}

func TestAssembler(t *testing.T) {
	tests := []struct {
		name string
		in   []in
		want []string // pictures; "!" before one says that packets were lost before it
	}{
		{"in order", []in{{1, 10, "Ka", false, 0}, {2, 10, "b", true, 0}, {3, 20, "c", true, 0}},
			[]string{"Kab", "c"}},
		{"reordered", []in{{1, 10, "Ka", true, 0}, {3, 20, "d", true, 1 * ms}, {2, 20, "c", false, 2 * ms}},
			[]string{"Ka", "cd"}},
		{"duplicate", []in{{1, 10, "Ka", false, 0}, {1, 10, "Ka", false, 0}, {2, 10, "b", true, 0}, {2, 10, "b", true, 0}},
			[]string{"Kab"}},
		{"retransmitted in time", []in{{1, 10, "Ka", true, 0}, {3, 20, "c", true, 1 * ms}, {4, 30, "d", true, 30 * ms}, {2, 20, "b", false, 60 * ms}},
			[]string{"Ka", "bc", "d"}},
		{"lost", []in{{1, 10, "Ka", true, 0}, {3, 20, "c", true, 1 * ms}, {4, 30, "d", true, 300 * ms}, {5, 40, "Ke", true, 330 * ms}},
			[]string{"Ka", "!d", "Ke"}},
		{"lost before a key frame", []in{{1, 10, "Ka", true, 0}, {3, 20, "Kc", true, 1 * ms}, {4, 30, "d", true, 300 * ms}},
			[]string{"Ka", "!Kc", "d"}},
		{"end of one and beginning of the next lost", []in{{1, 10, "Ka", false, 0}, {4, 20, "d", true, 1 * ms}, {5, 30, "e", true, 300 * ms}},
			[]string{"!e"}},
		{"several gaps are waited for at once", []in{{1, 10, "Ka", true, 0}, {3, 20, "Kb", true, 0}, {5, 30, "Kc", true, 0},
			{7, 40, "Kd", true, 0}, {8, 50, "e", true, 150 * ms}}, []string{"Ka", "!Kb", "!Kc", "!Kd", "e"}},
		{"repetition much too late", []in{{5000, 10, "Ka", true, 0}, {4300, 1, "x", true, 0}, {5001, 20, "b", true, 0}},
			[]string{"Ka", "b"}},
		{"marker missing", []in{{1, 10, "Ka", false, 0}, {2, 20, "b", true, 0}},
			[]string{"Ka", "b"}},
		{"sequence wraps", []in{{65535, 10, "Ka", false, 0}, {0, 10, "b", true, 0}, {1, 20, "c", true, 0}},
			[]string{"Kab", "c"}},
		{"sender restarts far away", []in{{1, 10, "Ka", true, 0}, {30000, 99, "Kb", true, 0}, {30001, 109, "c", true, 0}},
			[]string{"Ka", "!Kb", "c"}},
		{"sender restarts behind", []in{{30000, 10, "Ka", true, 0}, {5, 99, "Kb", true, 0}, {6, 109, "c", true, 0}},
			[]string{"Ka", "!Kb", "c"}},
		{"padding", []in{{1, 10, "Ka", true, 0}, {2, 10, "", false, 0}, {3, 20, "b", true, 0}},
			[]string{"Ka", "b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := assembled(t, tt.in)
			if !slices.Equal(got, tt.want) {
				t.Errorf("pictures %q, want %q", got, tt.want)
			}
		})
	}
}

func TestDepacketise(t *testing.T) {
	sc := "\x00\x00\x00\x01"
	tests := []struct {
		name, codec string
		payloads    []string
		want        string
		key         bool
	}{
		{"H.264 single", "H264", []string{"\x67sps", "\x68pps", "\x65idr"}, sc + "\x67sps" + sc + "\x68pps" + sc + "\x65idr", true},
		{"H.264 STAP-A", "H264", []string{"\x18\x00\x02\x67a\x00\x02\x68b", "\x41p"}, sc + "\x67a" + sc + "\x68b" + sc + "\x41p", true},
		{"H.264 FU-A", "H264", []string{"\x7c\x85ab", "\x7c\x05cd", "\x7c\x45ef"}, sc + "\x65abcdef", true},
		{"H.264 delta", "H264", []string{"\x06sei", "\x41p"}, sc + "\x06sei" + sc + "\x41p", false},
		{"H.265 FU", "H265", []string{"\x62\x01\x93ab", "\x62\x01\x53cd"}, sc + "\x26\x01abcd", true},
		{"H.265 delta", "H265", []string{"\x02\x01xy"}, sc + "\x02\x01xy", false},
		{"VP8 key", "VP8", []string{"\x90\x80\x05\x10abc", "\x80\x80\x05def"}, "\x10abcdef", true},
		{"VP8 15 bit id, delta", "VP8", []string{"\x90\x80\x81\x05\x11abc"}, "\x11abc", false},
		{"VP8 without extension", "VP8", []string{"\x10\x10abc"}, "\x10abc", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := newDepacketiser(tt.codec)
			if err != nil {
				t.Fatal(err)
			}
			var pic []byte
			for _, p := range tt.payloads {
				if pic, err = d.append(pic, []byte(p)); err != nil {
					t.Fatal(err)
				}
			}
			if string(pic) != tt.want {
				t.Errorf("picture %q, want %q", pic, tt.want)
			}
			if d.key(pic) != tt.key {
				t.Errorf("key = %v, want %v", !tt.key, tt.key)
			}
		})
	}
}

// A sender who goes back a little is followed, though each of their packets could be a repetition.
func TestAssemblerFollowsSenderWhoWentBack(t *testing.T) {
	a := assembler{depack: plain{}}
	var got int
	for i := range 200 {
		h := rtp.Header{SequenceNumber: uint16(1000 + i), Timestamp: uint32(i), Marker: true}
		if i >= 100 {
			h.SequenceNumber -= 200
		}
		a.push(&h, []byte("K"), time.Unix(1, 0), func(picture) { got++ })
	}
	if want := 200 - maxLate; got != want {
		t.Errorf("%d pictures, want %d", got, want)
	}
}

func FuzzAssembler(f *testing.F) {
	f.Add([]byte("\x00\x01\x00\x0a\x80\x04\x65abc"))
	f.Add([]byte("\x00\x01\x00\x0a\x00\x03\x7c\x85a\x00\x02\x00\x0a\x80\x03\x7c\x45b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, codec := range []string{"H264", "H265", "VP8"} {
			d, err := newDepacketiser(codec)
			if err != nil {
				t.Fatal(err)
			}
			a := assembler{depack: d, wait: 50 * time.Millisecond}
			now := time.Unix(0, 0)
			for rest := b; len(rest) >= 6; {
				h := rtp.Header{SequenceNumber: uint16(rest[0])<<8 | uint16(rest[1]),
					Timestamp: uint32(rest[2])<<8 | uint32(rest[3]), Marker: rest[4]&0x80 != 0}
				n := min(int(rest[5]), len(rest)-6)
				now = now.Add(time.Duration(rest[4]&0x7f) * time.Millisecond)
				a.push(&h, rest[6:6+n], now, func(p picture) {
					if len(p.data) == 0 || len(p.data) > 16*len(b) {
						t.Fatalf("picture of %d bytes from %d", len(p.data), len(b))
					}
				})
				rest = rest[6+n:]
			}
		}
	})
}

func TestAssemblerDoesNotAllocate(t *testing.T) {
	a := assembler{depack: h264Depacketiser{}, wait: 50 * time.Millisecond}
	payload := append([]byte{0x41}, bytes.Repeat([]byte{7}, 1000)...)
	h := rtp.Header{}
	now := time.Unix(0, 0)
	deliver := func(picture) {}
	got := testing.AllocsPerRun(2000, func() {
		h.SequenceNumber++
		h.Marker = h.SequenceNumber%4 == 0
		if h.Marker {
			defer func() { h.Timestamp += 3000 }()
		}
		a.push(&h, payload, now, deliver)
	})
	if got > 0 {
		t.Errorf("%v allocations per packet, want 0", got)
	}
}
