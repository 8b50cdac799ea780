package leg_test

import (
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/pion/rtp"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/leg"
)

// A telephone's sound, as its door attaches it when SDP has been exchanged: the leg reads what the telephone sends,
// here a key, and sends it packets of the mix.
func Example() {
	pipe, phone, err := dial()
	if err != nil {
		panic(err)
	}
	defer phone.Close()

	ulaw := leg.Codec{Name: "PCMU", PayloadType: 0, ClockRate: 8000, Channels: 1}
	keys := leg.Codec{Name: "telephone-event", PayloadType: 101, ClockRate: 8000, Channels: 1}
	receive := []leg.Codec{ulaw, keys}

	pressed := make(chan rune, 1)
	l := leg.New(leg.Config{Metrics: leg.NewMetrics(nil), OnDTMF: func(key rune) { pressed <- key }})
	session, err := leg.NewSession(pipe, leg.SessionConfig{Kind: leg.Audio, SSRC: 1, CNAME: "room", Receive: receive, Send: ulaw})
	if err != nil {
		panic(err)
	}
	defer func() { // first what is read from, then who reads
		pipe.close()
		session.Close()
		l.Close()
	}()
	if _, err := l.Attach(leg.Media{Kind: leg.Audio, Label: "main", Transport: session, Receive: receive, Send: ulaw, SSRC: 1}); err != nil {
		panic(err)
	}

	// The telephone's 5, as RFC 4733 section 2.3 has it: event 5, its end, volume 10, 80 ms.
	packet, err := (&rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 101, SSRC: 2}, Payload: []byte{5, 0x8a, 0x02, 0x80}}).Marshal()
	if err != nil {
		panic(err)
	}
	if _, err := phone.Write(packet); err != nil {
		panic(err)
	}
	fmt.Printf("pressed: %c\n", <-pressed)

	// What the mixer's bus does every 20 ms, in the format that the leg wants.
	wanted := l.Port().Format()
	fmt.Println("wanted:", wanted.Codec)
	l.Port().WritePacket(audio.Packet{Payload: make([]byte, 160), Samples: audio.FrameSamples}, wanted)
	b := make([]byte, 1500)
	n, err := phone.Read(b)
	if err != nil {
		panic(err)
	}
	var got rtp.Packet
	if err := got.Unmarshal(b[:n]); err != nil {
		panic(err)
	}
	fmt.Println("sent: payload type", got.PayloadType, "with", len(got.Payload), "bytes")
	// Output:
	// pressed: 5
	// wanted: PCMU
	// sent: payload type 0 with 160 bytes
}

// sockets are a call's on this host: a leg.Pipe to the address that the telephone's SDP named.
type sockets struct {
	rtp, rtcp *net.UDPConn
	to        netip.AddrPort
	listening sync.WaitGroup
}

func (s *sockets) ReadRTP(b []byte) (int, error) { return s.rtp.Read(b) }

// OnRTCP has what comes of RTCP handed to take.
func (s *sockets) OnRTCP(take func(b []byte)) {
	s.listening.Go(func() {
		b := make([]byte, 1500)
		for {
			n, err := s.rtcp.Read(b)
			if err != nil {
				return
			}
			take(b[:n])
		}
	})
}

func (s *sockets) WriteRTP(b []byte) error {
	_, err := s.rtp.WriteToUDPAddrPort(b, s.to)
	return err
}

// WriteRTCP drops what it is given: this telephone has no port for it.
func (s *sockets) WriteRTCP([]byte) error { return nil }

func (s *sockets) close() {
	s.rtp.Close()
	s.rtcp.Close()
	s.listening.Wait()
}

// dial makes a call's sockets and the telephone's.
func dial() (*sockets, *net.UDPConn, error) {
	here := net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0"))
	rtpSocket, err := net.ListenUDP("udp", here)
	if err != nil {
		return nil, nil, err
	}
	rtcpSocket, err := net.ListenUDP("udp", here)
	if err != nil {
		return nil, nil, err
	}
	phone, err := net.DialUDP("udp", nil, rtpSocket.LocalAddr().(*net.UDPAddr))
	if err != nil {
		return nil, nil, err
	}
	return &sockets{rtp: rtpSocket, rtcp: rtcpSocket, to: phone.LocalAddr().(*net.UDPAddr).AddrPort()}, phone, nil
}
