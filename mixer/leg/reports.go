package leg

import (
	"sync"
	"time"

	"github.com/pion/rtcp"

	"rendezvous/mixer/leg/congestion"
)

const (
	reportInterval = time.Second // between sender reports of one stream
	reportsKept    = 32          // whose answers are known: of all streams of a leg, some seconds
	rttWeight      = 0.25        // of one report that says less than those before

	senderReportSize = 28 + 24 // bytes, and who it is from
)

// reporter makes one stream's sender reports (RFC 3550 section 6.4.1). What makes lip sync of them: sound is said to be
// captured when its frame was mixed, and a picture when it was composed, both by this machine's clock; how long
// encoding, queues and pacing took after that is not in it. It belongs to the sender's goroutine.
type reporter struct {
	packets, octets uint32
	timestamp       uint32    // of the newest frame or picture
	captured        time.Time // and when that was
	reported        time.Time
}

// took notes what has been sent.
func (r *reporter) took(timestamp uint32, captured time.Time, payload int) {
	r.timestamp, r.captured = timestamp, captured
	r.packets++
	r.octets += uint32(payload)
}

// report is the next sender report, nil if it is not time for one.
func (r *reporter) report(ssrc uint32, clockRate int, every time.Duration, now time.Time) *rtcp.SenderReport {
	if r.packets == 0 || now.Sub(r.reported) < every {
		return nil
	}
	r.reported = now
	return &rtcp.SenderReport{
		SSRC: ssrc, NTPTime: toNTP(now), PacketCount: r.packets, OctetCount: r.octets,
		RTPTime: r.timestamp + uint32(int64(now.Sub(r.captured))*int64(clockRate)/int64(time.Second)),
	}
}

// toNTP is a time as reports tell it: seconds since 1900, 32 bits, and their fraction.
func toNTP(t time.Time) uint64 {
	const from1900 = 2_208_988_800 // to 1970, in seconds
	return uint64(t.Unix()+from1900)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

// roundTrips are what a caller's reports say of the path to them and back: when each of ours was sent comes back in
// theirs, with how long they kept it.
type roundTrips struct {
	mu   sync.Mutex // guards all below
	sent [reportsKept]struct {
		id uint32 // the middle of its NTP time; ours are told apart by it, whatever becomes of the clock
		at time.Time
	}
	n   int
	rtt time.Duration // smoothed, 0: not known
}

func (r *roundTrips) sending(ntp uint64, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.sent[r.n%reportsKept]
	s.id, s.at = uint32(ntp>>16), at
	r.n++
}

// answered takes what a caller says about one of our streams (LSR and DLSR of RFC 3550 section 6.4.1), and returns the round trip by it, 0 if
// it has none, and for how long it is that the report of ours left.
func (r *roundTrips) answered(b rtcp.ReceptionReport, now time.Time) (trip, since time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sent {
		if b.LastSenderReport == 0 || s.id != b.LastSenderReport || s.at.IsZero() {
			continue
		}
		rtt := now.Sub(s.at) - time.Duration(b.Delay)*time.Second/65536
		switch {
		case rtt < 0 || rtt > 10*time.Second:
			return 0, 0
		case rtt > r.rtt: // at once, or what is on its way is given up
			r.rtt = max(rtt, time.Millisecond)
		default:
			r.rtt = max(r.rtt+time.Duration(rttWeight*float64(rtt-r.rtt)), time.Millisecond)
		}
		return max(rtt, 1), now.Sub(s.at)
	}
	return 0, 0
}

// value is the round trip, 0 if it is not known.
func (r *roundTrips) value() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rtt
}

// roundTrip is how long it takes to the caller and back, 0 if it is not known.
func (l *Leg) roundTrip() time.Duration { return l.trips.value() }

// measure takes the blocks of a report about what the caller is sent.
func (s *Stream) measure(blocks []rtcp.ReceptionReport, now time.Time) {
	for _, b := range blocks {
		trip, since := s.leg.trips.answered(b, now)
		if s.media.SSRC != 0 && b.SSRC != s.media.SSRC {
			continue
		}
		s.network.report(b, now)
		s.notice(now)
		if flow := s.flow.Load(); flow != nil {
			flow.Report(congestion.Report{Highest: b.LastSequenceNumber, Lost: b.FractionLost, Trip: trip, Sent: since})
		}
	}
}

// report sends the sender report of a stream when it is time for one. It is the sender's goroutine that calls it.
func (s *Stream) report(now time.Time) {
	every := reportInterval
	if s.flow.Load() != nil && s.media.Kind == Video { // their answers are all that tells of the path
		every = congestion.ReportEvery
	}
	r := s.out.reporter.report(s.media.SSRC, s.formats.Load().send.ClockRate, every, now)
	if r == nil {
		return
	}
	s.leg.trips.sending(r.NTPTime, now)
	if s.flow.Load() != nil {
		s.leg.reports.Again(senderReportSize)
	}
	_ = s.media.Transport.WriteRTCP([]rtcp.Packet{r}) // fails until the path stands; the next one follows
}
