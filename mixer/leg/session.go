package leg

import (
	"errors"
	"fmt"
	"sync"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// Pipe is a plain pair of RTP and RTCP packet channels to a peer that has no RTP
// stack of its own below it: a phone's or Jami device's sockets after SRTP.
// Reads block; each is called from one goroutine; closing the pipe ends them.
// Writes may come from several goroutines.
type Pipe interface {
	// ReadRTP reads one RTP packet into b. A longer one is cut, as sockets do.
	ReadRTP(b []byte) (int, error)
	// WriteRTP sends one RTP packet. It must not keep b.
	WriteRTP(b []byte) error
	// OnRTCP says who takes the datagrams of RTCP. It is called once, before anything is read. take does not block, keeps nothing of
	// b, and may be called from several goroutines until the pipe is closed.
	OnRTCP(take func(b []byte))
	// WriteRTCP sends one datagram of RTCP. It must not keep b.
	WriteRTCP(b []byte) error
}

// SessionConfig is what SDP has settled about one medium.
type SessionConfig struct {
	Kind    Kind
	SSRC    uint32 // ours
	CNAME   string
	Receive []Codec
	Send    Codec
	NACK    bool // both sides repeat lost packets (a=rtcp-fb nack)
	PLI     bool // the peer takes PLI (a=rtcp-fb nack pli, ccm fir)
	REMB    bool // the peer takes REMB (a=rtcp-fb goog-remb)

	// SeparateRTCP sends every report in a datagram of its own, bare, which RFC 5506
	// allows: Jami reads only the first packet of a compound (docs/jami/calls.md#rtcp-and-bit-rates).
	SeparateRTCP bool
}

// Session is an RTP session over a Pipe: pion's interceptor chain (receiver reports)
// around raw packets. It is a Transport.
type Session struct {
	pipe  Pipe
	cfg   SessionConfig
	chain *interceptor.Chain

	rtpOut  interceptor.RTPWriter
	rtcpOut interceptor.RTCPWriter
	rtcpIn  interceptor.RTCPReader
	local   *interceptor.StreamInfo

	// Owned by the goroutine that calls ReadRTP.
	remote   *interceptor.StreamInfo
	rtpIn    interceptor.RTPReader
	pendingN int
	attrs    interceptor.Attributes // of the packet being read

	reports sync.Mutex // held while a datagram of RTCP is taken; guards report
	report  []byte     // that datagram

	mu      sync.Mutex // guards scratch, which keeps outgoing packets from being allocated
	scratch []byte
}

// NewSession makes a session; Close ends it, after the pipe. The errors are pion's, of
// making its interceptors: none that cfg can cause.
func NewSession(p Pipe, cfg SessionConfig) (*Session, error) {
	s := &Session{pipe: p, cfg: cfg, scratch: make([]byte, maxPacketBytes), attrs: interceptor.Attributes{}}
	receiver, err := report.NewReceiverInterceptor()
	if err != nil {
		return nil, fmt.Errorf("receiver reports: %w", err)
	}
	reports, err := receiver.NewInterceptor("")
	if err != nil {
		return nil, fmt.Errorf("interceptor: %w", err)
	}
	s.chain = interceptor.NewChain([]interceptor.Interceptor{reports})
	s.rtcpOut = s.chain.BindRTCPWriter(interceptor.RTCPWriterFunc(s.writeRTCP))
	s.rtcpIn = s.chain.BindRTCPReader(interceptor.RTCPReaderFunc(
		func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
			return copy(b, s.report), a, nil
		}))
	s.local = s.info(cfg.SSRC, cfg.Send)
	s.rtpOut = s.chain.BindLocalStream(s.local, interceptor.RTPWriterFunc(s.writeRTP))
	return s, nil
}

func (s *Session) info(ssrc uint32, c Codec) *interceptor.StreamInfo {
	i := &interceptor.StreamInfo{
		SSRC: ssrc, PayloadType: c.PayloadType, ClockRate: uint32(c.ClockRate),
		MimeType: s.cfg.Kind.String() + "/" + c.Name,
	}
	if s.cfg.NACK {
		i.RTCPFeedback = []interceptor.RTCPFeedback{{Type: "nack"}}
	}
	return i
}

// ReadRTP reads one RTP packet. A packet of a new SSRC ends the old one's statistics;
// what is not RTP is passed over. The error is the pipe's: it is closed.
func (s *Session) ReadRTP(b []byte) (int, error) {
	for {
		n, err := s.pipe.ReadRTP(b)
		if err != nil {
			return 0, err
		}
		if n < 12 || b[0]>>6 != 2 {
			continue // not RTP (RFC 3550 §5.1)
		}
		ssrc := uint32(b[8])<<24 | uint32(b[9])<<16 | uint32(b[10])<<8 | uint32(b[11])
		if s.remote == nil || s.remote.SSRC != ssrc {
			s.bindRemote(ssrc, b[1]&0x7f)
		}
		s.pendingN = n
		clear(s.attrs)
		n, _, err = s.rtpIn.Read(b, s.attrs)
		if err != nil {
			continue // an interceptor could not read the packet; the leg counts what it cannot read
		}
		return n, nil
	}
}

func (s *Session) bindRemote(ssrc uint32, payloadType uint8) {
	if s.remote != nil {
		s.chain.UnbindRemoteStream(s.remote)
	}
	codec := Codec{ClockRate: 8000}
	for _, c := range s.cfg.Receive {
		if c.PayloadType == payloadType || codec.Name == "" {
			codec = c
		}
	}
	s.remote = s.info(ssrc, codec)
	s.rtpIn = s.chain.BindRemoteStream(s.remote, interceptor.RTPReaderFunc(
		// The packet is in b already: ReadRTP read it there to learn its SSRC.
		func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
			return s.pendingN, a, nil
		}))
}

// WriteRTP sends one packet, under the SSRC of SessionConfig, which it puts into h. The
// error is the pipe's.
func (s *Session) WriteRTP(h *rtp.Header, payload []byte) error {
	h.SSRC = s.cfg.SSRC
	_, err := s.rtpOut.Write(h, payload, nil)
	return err
}

func (s *Session) writeRTP(h *rtp.Header, payload []byte, _ interceptor.Attributes) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := h.MarshalTo(s.scratch)
	if err != nil {
		return 0, fmt.Errorf("marshal RTP header: %w", err)
	}
	if n+len(payload) > len(s.scratch) {
		return 0, errors.New("RTP packet too large")
	}
	n += copy(s.scratch[n:], payload)
	return n, s.pipe.WriteRTP(s.scratch[:n])
}

// OnRTCP implements Transport. take is told of what is no RTCP (RFC 3550 section 6.1) that it could not be read.
func (s *Session) OnRTCP(take func(packets []rtcp.Packet, err error)) {
	attributes := interceptor.Attributes{}
	b := make([]byte, maxPacketBytes)
	s.pipe.OnRTCP(func(report []byte) {
		s.reports.Lock()
		defer s.reports.Unlock()
		s.report = report[:min(len(report), len(b))]
		clear(attributes)
		n, a, err := s.rtcpIn.Read(b, attributes)
		var packets []rtcp.Packet
		if err == nil {
			packets, err = a.GetRTCPPackets(b[:n]) // the interceptors have read them already
		}
		take(packets, err)
	})
}

// WriteRTCP sends feedback, without what the peer did not say they understand. The error
// is the pipe's, or of a packet that cannot be encoded.
func (s *Session) WriteRTCP(pkts []rtcp.Packet) error {
	keep := pkts[:0:0]
	for _, p := range pkts {
		switch p.(type) {
		case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
			if !s.cfg.PLI {
				continue
			}
		case *rtcp.ReceiverEstimatedMaximumBitrate:
			if !s.cfg.REMB {
				continue
			}
		}
		keep = append(keep, p)
	}
	if len(keep) == 0 {
		return nil
	}
	_, err := s.rtcpOut.Write(keep, nil)
	return err
}

// writeRTCP puts packets on the wire: as a compound that begins with a report and
// names us (RFC 3550 §6.1), or bare and apart.
func (s *Session) writeRTCP(pkts []rtcp.Packet, _ interceptor.Attributes) (int, error) {
	if s.cfg.SeparateRTCP {
		total := 0
		for _, p := range pkts {
			n, err := s.sendRTCP([]rtcp.Packet{p})
			if err != nil {
				return total, err
			}
			total += n
		}
		return total, nil
	}
	if len(pkts) == 0 {
		return 0, nil
	}
	compound := make([]rtcp.Packet, 0, len(pkts)+2)
	switch pkts[0].(type) {
	case *rtcp.SenderReport, *rtcp.ReceiverReport:
		compound = append(compound, pkts[0])
		pkts = pkts[1:]
	default:
		compound = append(compound, &rtcp.ReceiverReport{SSRC: s.cfg.SSRC})
	}
	compound = append(compound, rtcp.NewCNAMESourceDescription(s.cfg.SSRC, s.cfg.CNAME))
	return s.sendRTCP(append(compound, pkts...))
}

func (s *Session) sendRTCP(pkts []rtcp.Packet) (int, error) {
	b, err := rtcp.Marshal(pkts)
	if err != nil {
		return 0, fmt.Errorf("marshal RTCP: %w", err)
	}
	return len(b), s.pipe.WriteRTCP(b)
}

// Close ends the session's reports. The pipe is closed before, by its owner.
func (s *Session) Close() error {
	s.chain.UnbindLocalStream(s.local)
	if err := s.chain.Close(); err != nil {
		return fmt.Errorf("close RTP session: %w", err)
	}
	return nil
}
