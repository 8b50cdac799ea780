package rtc

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/rtcp"
)

const (
	// soundHistory is how many packets of sound are kept to be sent again: 1.3 s.
	soundHistory = 64

	// Of a gap the newest so many packets are asked for: what is older would come too late to be heard.
	mostAsked = 8
	// A packet is asked for so often at most, each time after the time that an answer has taken lately and half of
	// it more, and until it is so old.
	askTimes = 3
	leastAsk = 30 * time.Millisecond
	askUntil = 160 * time.Millisecond

	// Where answers take longer than slowAnswer, or patience packets in a row did not come, asking is of no
	// use; whether it is by now is seen with one packet each probePause.
	slowAnswer = 150 * time.Millisecond
	patience   = 24
	probePause = 2 * time.Second
)

// soundRepair are the interceptors that have sound sent again: ours, which asks, and pion's, which answers. Browsers of
// libwebrtc answer and ask if their description of Opus has a=rtcp-fb nack, though they do not offer it (tuneAnswer).
func soundRepair(logs logFactory) []func() (interceptor.Factory, error) {
	return []func() (interceptor.Factory, error){
		func() (interceptor.Factory, error) { return soundAskers{}, nil },
		func() (interceptor.Factory, error) {
			return nack.NewResponderInterceptor(nack.ResponderSize(soundHistory), nack.ResponderStreamsFilter(isSound),
				nack.WithResponderLoggerFactory(logs))
		},
	}
}

func isSound(info *interceptor.StreamInfo) bool {
	return strings.HasPrefix(strings.ToLower(info.MimeType), "audio/")
}

// soundAskers makes the soundAsker of each connection.
type soundAskers struct{}

// NewInterceptor implements interceptor.Factory.
func (soundAskers) NewInterceptor(string) (interceptor.Interceptor, error) {
	return &soundAsker{ssrc: rand.Uint32()}, nil
}

// soundAsker asks for lost packets of sound (RFC 4585 section 6.2.1). Unlike pictures, which wait, sound is of use for
// some tens of milliseconds only: so each packet that comes tells at once what is missing before it, without a clock.
type soundAsker struct {
	interceptor.NoOp
	ssrc   uint32
	writer atomic.Pointer[interceptor.RTCPWriter]
}

// BindRTCPWriter implements interceptor.Interceptor.
func (a *soundAsker) BindRTCPWriter(w interceptor.RTCPWriter) interceptor.RTCPWriter {
	a.writer.Store(&w)
	return w
}

// BindRemoteStream implements interceptor.Interceptor.
func (a *soundAsker) BindRemoteStream(info *interceptor.StreamInfo, reader interceptor.RTPReader) interceptor.RTPReader {
	if !isSound(info) {
		return reader
	}
	var missing missingSound
	// Where RED has been agreed on, it is what pion calls the stream's codec, being the first of the answer.
	opus, repeats := uint8(0), false
	if strings.EqualFold(info.MimeType, mimeTypeRED) {
		opus, repeats = repeatedType(info.SDPFmtpLine)
	}
	return interceptor.RTPReaderFunc(func(b []byte, attrs interceptor.Attributes) (int, interceptor.Attributes, error) {
		n, attrs, err := reader.Read(b, attrs)
		if err != nil {
			return n, attrs, err
		}
		if attrs == nil {
			attrs = make(interceptor.Attributes)
		}
		h, err := attrs.GetRTPHeader(b[:n])
		if err != nil {
			return 0, nil, err
		}
		repeated := 0
		if repeats && h.PayloadType != opus {
			repeated = redundantBlocks(b[min(h.MarshalSize(), n):n])
		}
		if ask := missing.arrived(h.SequenceNumber, repeated, time.Now()); len(ask) > 0 {
			if w := a.writer.Load(); w != nil {
				// A question that is not sent is asked again.
				_, _ = (*w).Write([]rtcp.Packet{&rtcp.TransportLayerNack{
					SenderSSRC: a.ssrc, MediaSSRC: h.SSRC, Nacks: rtcp.NackPairsFromSequenceNumbers(ask),
				}}, nil)
			}
		}
		return n, attrs, nil
	})
}

// redundantBlocks is how many earlier packets a payload of RFC 2198 repeats, by its headers.
func redundantBlocks(payload []byte) int {
	n := 0
	for ; len(payload) >= 4 && payload[0]&0x80 != 0; payload = payload[4:] {
		n++
	}
	return n
}

// missingSound is what has not come of one stream. It belongs to the stream's reader.
type missingSound struct {
	begun   bool
	highest uint16
	missing []missingPacket // in order of their numbers
	ask     []uint16        // scratch

	answer     time.Duration // smoothed; 0: not known
	unanswered int           // in a row
	probed     time.Time
}

type missingPacket struct {
	seq   uint16
	since time.Time
	asked time.Time
	times int
}

// arrived takes the number of a packet that has come, and how many before it it repeats, and returns the numbers of
// those to ask for now, in order; they are the caller's until the next call.
func (m *missingSound) arrived(seq uint16, repeated int, now time.Time) []uint16 {
	step := int16(seq - m.highest)
	switch {
	case !m.begun || step > 3000 || step < -3000: // the limits of RFC 3550 appendix A.1: begun anew
		m.begun, m.highest, m.missing = true, seq, m.missing[:0]
		return nil
	case step > 0:
		for s := seq - uint16(min(int(step)-1, mostAsked)); s != seq; s++ {
			m.missing = append(m.missing, missingPacket{seq: s, since: now})
		}
		m.highest = seq
	}
	m.found(seq, now)
	for i := range min(repeated, mostAsked) {
		m.found(seq-1-uint16(i), now)
	}
	m.missing = slices.DeleteFunc(m.missing, func(p missingPacket) bool {
		old := now.Sub(p.since) > askUntil
		if old && p.times > 0 && m.unanswered < patience {
			m.unanswered++
		}
		return old
	})
	m.ask = m.ask[:0]
	for i := range m.missing {
		p := &m.missing[i]
		if p.times >= askTimes || p.times > 0 && now.Sub(p.asked) < max(leastAsk, m.answer*3/2) || !m.useful(now) {
			continue
		}
		p.times++
		p.asked = now
		m.ask = append(m.ask, p.seq)
	}
	return m.ask
}

// found takes a packet from the missing ones.
func (m *missingSound) found(seq uint16, now time.Time) {
	i := slices.IndexFunc(m.missing, func(p missingPacket) bool { return p.seq == seq })
	if i < 0 {
		return
	}
	if p := m.missing[i]; p.times == 1 && p.asked != now {
		took := now.Sub(p.asked)
		if m.answer == 0 {
			m.answer = took
		}
		m.answer += (took - m.answer) / 4
		m.unanswered = 0
	}
	m.missing = slices.Delete(m.missing, i, i+1)
}

// useful reports whether a packet is to be asked for now.
func (m *missingSound) useful(now time.Time) bool {
	if m.answer <= slowAnswer && m.unanswered < patience {
		return true
	}
	if now.Sub(m.probed) < probePause {
		return false
	}
	m.probed = now
	return true
}
