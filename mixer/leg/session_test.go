package leg

import (
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"go.uber.org/goleak"

	"rendezvous/internal/eventually"
	"rendezvous/mixer/ladder"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire is one end of a packet pipe in memory; packets that drop names are lost.
type wire struct {
	rtpIn, rtcpIn   chan []byte
	rtpOut, rtcpOut chan []byte
	drop            func(b []byte) bool
	closed          chan struct{}
	once            *sync.Once
	listening       *sync.WaitGroup // to RTCP, of both ends
}

func newWire() (a, b *wire) {
	mk := func() chan []byte { return make(chan []byte, 4096) }
	r1, r2, c1, c2 := mk(), mk(), mk(), mk()
	closed, once, listening := make(chan struct{}), &sync.Once{}, &sync.WaitGroup{}
	return &wire{r1, c1, r2, c2, nil, closed, once, listening}, &wire{r2, c2, r1, c1, nil, closed, once, listening}
}

func (w *wire) read(ch chan []byte, b []byte) (int, error) {
	select {
	case p := <-ch:
		return copy(b, p), nil
	case <-w.closed:
		return 0, io.EOF
	}
}
func (w *wire) ReadRTP(b []byte) (int, error) { return w.read(w.rtpIn, b) }
func (w *wire) OnRTCP(take func(b []byte)) {
	w.listening.Go(func() {
		b := make([]byte, 1500)
		for {
			n, err := w.read(w.rtcpIn, b)
			if err != nil {
				return
			}
			take(b[:n])
		}
	})
}
func (w *wire) WriteRTP(b []byte) error {
	if w.drop != nil && w.drop(b) {
		return nil
	}
	w.rtpOut <- slices.Clone(b)
	return nil
}
func (w *wire) WriteRTCP(b []byte) error { w.rtcpOut <- slices.Clone(b); return nil }
func (w *wire) close() {
	w.once.Do(func() { close(w.closed) })
	w.listening.Wait()
}

func newTestSession(t *testing.T, w *wire, ssrc uint32, change func(*SessionConfig)) *Session {
	t.Helper()
	cfg := SessionConfig{Kind: Video, SSRC: ssrc, CNAME: "room", NACK: true, PLI: true,
		Receive: []Codec{{Name: "H264", PayloadType: 96, ClockRate: 90000}},
		Send:    Codec{Name: "H264", PayloadType: 96, ClockRate: 90000}}
	if change != nil {
		change(&cfg)
	}
	s, err := NewSession(w, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A packet lost on the way is asked for by the leg behind a session, and sent again by the leg of the other end.
func TestSessionRepeatsLostPackets(t *testing.T) {
	wa, wb := newWire()
	var mu sync.Mutex // guards what the wire has seen
	dropped, newest, sent := map[uint16]bool{}, uint16(0), 0
	wa.drop = func(b []byte) bool {
		mu.Lock()
		defer mu.Unlock()
		seq := uint16(b[2])<<8 | uint16(b[3])
		if b[1]&0x7f == h264.PayloadType && int16(seq-newest) > 0 || len(dropped) == 0 && newest == 0 {
			newest = seq
		}
		sent++
		if seq%10 == 5 && !dropped[seq] && sent < 90 { // the loss of the last one would be seen by nobody
			dropped[seq] = true
			return true
		}
		return false
	}
	a, b := newTestSession(t, wa, 1, nil), newTestSession(t, wb, 2, nil)
	from, to := New(Config{}), New(Config{})
	to.trips.rtt = 230 * time.Millisecond // so that a busy machine is waited for as long as a far path would be
	if _, err := from.Attach(Media{Kind: Video, Transport: a, Send: h264, SSRC: 1}); err != nil {
		t.Fatal(err)
	}
	s, err := to.Attach(Media{Kind: Video, Transport: b, Receive: []Codec{h264}, SSRC: 2})
	if err != nil {
		t.Fatal(err)
	}
	from.Port().Enter(testRungs, nil)
	to.Port().Enter(testRungs, nil)
	watch(from)
	for n := range 100 {
		from.Port().WriteUnit(&ladder.Unit{Codec: ladder.H264, Key: n == 0, Number: uint32(n), PTS: uint32(n) * 3000, Payloads: [][]byte{{0x41, 1, 2, 3}}})
		time.Sleep(2 * time.Millisecond)
	}
	in := s.picture
	eventually.True(t, "all packets are there", func() bool {
		in.mu.Lock()
		defer in.mu.Unlock()
		mu.Lock()
		defer mu.Unlock()
		return in.assembler.next == newest+1
	})
	if n := in.assembler.lostPackets; n > 0 || len(dropped) < 8 {
		t.Errorf("%d of %d packets that were lost once never came", n, len(dropped))
	}
	wa.close()
	wb.close()
	from.Close()
	to.Close()
	for _, s := range []*Session{a, b} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestSessionRTCPForm(t *testing.T) {
	pli := &rtcp.PictureLossIndication{SenderSSRC: 1, MediaSSRC: 2}
	remb := &rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 1, Bitrate: 1e6, SSRCs: []uint32{2}}
	tests := []struct {
		name   string
		change func(*SessionConfig)
		send   []rtcp.Packet
		want   [][]string // datagrams
	}{
		{"compound", nil, []rtcp.Packet{pli}, [][]string{{"RR", "SDES", "PLI"}}},
		{"no PLI", func(c *SessionConfig) { c.PLI = false }, []rtcp.Packet{pli}, nil},
		{"no REMB unless asked", nil, []rtcp.Packet{remb}, nil},
		{"REMB", func(c *SessionConfig) { c.REMB = true }, []rtcp.Packet{remb}, [][]string{{"RR", "SDES", "REMB"}}},
		{"separate", func(c *SessionConfig) { c.SeparateRTCP = true },
			[]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 1}, pli}, [][]string{{"RR"}, {"PLI"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wa, wb := newWire()
			s := newTestSession(t, wa, 1, tt.change)
			if err := s.WriteRTCP(tt.send); err != nil {
				t.Fatal(err)
			}
			for i, want := range tt.want {
				var b []byte
				select {
				case b = <-wb.rtcpIn:
				default:
					t.Fatalf("datagram %d of %d was not sent", i+1, len(tt.want))
				}
				pkts, err := rtcp.Unmarshal(b)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, p := range pkts {
					switch p.(type) {
					case *rtcp.ReceiverReport:
						got = append(got, "RR")
					case *rtcp.SourceDescription:
						got = append(got, "SDES")
					case *rtcp.PictureLossIndication:
						got = append(got, "PLI")
					case *rtcp.ReceiverEstimatedMaximumBitrate:
						got = append(got, "REMB")
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("datagram %d holds %v, want %v", i+1, got, want)
				}
			}
			if len(wb.rtcpIn) > 0 {
				t.Errorf("%d datagrams too many", len(wb.rtcpIn))
			}
			wa.close()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// One report that is none ends neither the reading of reports nor the leg's adaptation.
func TestSessionReadsOnAfterMalformedReport(t *testing.T) {
	wa, wb := newWire()
	s := newTestSession(t, wa, 1, nil)
	malformed, good := []byte{0x81, 201, 0, 7}, []byte{0x80, 201, 0, 1, 0, 0, 0, 9}
	wb.rtcpOut <- malformed
	wb.rtcpOut <- good
	type taken struct {
		packets []rtcp.Packet
		err     error
	}
	got := make(chan taken, 2)
	s.OnRTCP(func(packets []rtcp.Packet, err error) { got <- taken{packets, err} })
	if x := <-got; x.err == nil || len(x.packets) > 0 {
		t.Errorf("of what is malformed: %v, %v", x.packets, x.err)
	}
	if x := <-got; x.err != nil || len(x.packets) != 1 || x.packets[0].(*rtcp.ReceiverReport).SSRC != 9 {
		t.Errorf("of a report: %v, %v", x.packets, x.err)
	}
	wa.close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func FuzzSessionInput(f *testing.F) {
	f.Add([]byte{0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3}, []byte{0x81, 201, 0, 7})
	f.Fuzz(func(t *testing.T, packet, report []byte) {
		wa, wb := newWire()
		s, err := NewSession(wa, SessionConfig{Kind: Video, SSRC: 1, CNAME: "c", NACK: true,
			Receive: []Codec{{Name: "VP8", PayloadType: 96, ClockRate: 90000}}})
		if err != nil {
			t.Fatal(err)
		}
		wb.rtpOut <- packet
		wb.rtcpOut <- report
		done := make(chan struct{})
		go func() {
			defer close(done)
			buf := make([]byte, 1500)
			if _, err := s.ReadRTP(buf); err != nil && !errors.Is(err, io.EOF) {
				t.Errorf("read RTP: %v", err)
			}
		}()
		taken := make(chan struct{})
		s.OnRTCP(func([]rtcp.Packet, error) { close(taken) })
		<-taken
		wa.close()
		<-done
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestDTMFOncePerEvent(t *testing.T) {
	var d dtmf
	var got []rune
	for _, p := range []struct {
		ts uint32
		b  []byte
	}{
		{100, []byte{5, 10, 0, 160}}, {100, []byte{5, 10, 1, 64}}, {100, []byte{5, 0x8a, 1, 224}}, {100, []byte{5, 0x8a, 1, 224}},
		{2000, []byte{10, 10, 0, 160}}, {100, []byte{5, 0x8a, 1, 224}}, // an end that came late
		{4000, []byte{10, 10, 0, 160}}, {5000, []byte{99, 0, 0, 0}}, {6000, []byte{1, 2}},
	} {
		if k, ok := d.push(p.ts, p.b); ok {
			got = append(got, k)
		}
	}
	if string(got) != "5**" {
		t.Errorf("keys %q, want 5**", string(got))
	}
}
