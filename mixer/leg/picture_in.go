package leg

import (
	"image"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"rendezvous/mixer/av"
)

const (
	// A missing packet is waited for while it may still come: two round trips of requests and answers, within bounds.
	minGapWait, maxGapWait = 200 * time.Millisecond, 600 * time.Millisecond
	reorderWait            = 60 * time.Millisecond // where nobody repeats packets

	// Between two key-frame requests: the first answer may have been lost, later ones mean that none is coming soon.
	keyInterval, keyAgain = 500 * time.Millisecond, time.Second
	rembInterval          = time.Second
	// After a loss pictures are withheld until a key frame comes, so that nobody sees smears. The
	// last good one is shown greyed after greyAfter, and a sender that answers no request is shown as it is after
	// keyPatience.
	greyAfter   = 2 * time.Second
	keyPatience = 4 * time.Second
	keyReminder = 3 * time.Second // between requests then
	// A stream of which nothing has come for so long waits for nothing: it has ended.
	packetsAreOld = 1500 * time.Millisecond
)

// gapWait is how long a missing packet is waited for at that round trip.
func gapWait(rtt time.Duration) time.Duration {
	return min(max(rtt*5/2+40*time.Millisecond, minGapWait), maxGapWait)
}

// pictureIn turns one video stream's packets into its newest picture.
type pictureIn struct {
	stream   *Stream
	newest   newest
	rotation atomic.Int32
	shown    atomic.Int64 // tile width<<32 | height, pixels; 0 if not on the canvas
	waiting  atomic.Int64 // since when pictures are withheld for want of a key frame, nanoseconds from Leg.made; 0: they are not
	arrived  atomic.Int64 // when the last packet came, likewise
	alarm    *time.Timer  // rings when something is to be done though no packet comes
	grown    atomic.Bool  // what is shown has, and the sender has not heard of it

	mu          sync.Mutex // guards the rest, and is held while a picture is decoded
	codec       string
	refused     string // a codec that has no decoder here
	ssrc        uint32
	assembler   assembler
	decoder     *av.VideoDecoder
	needKey     bool
	needSince   time.Time
	keyAsked    time.Time
	keyAsks     int       // since needSince
	keyBytes    int       // size of the last key frame
	ringsAt     time.Time // what alarm is set to; zero: it is not
	playout     playout
	lips        lipSync
	missing     []uint16 // scratch
	rembSent    time.Time
	rembOwn     int // of this stream, when last sent
	lostCounted uint64
	badCounted  uint64
}

// unknownTile is assumed of a stream in a mix until the canvas has placed it.
var unknownTile = image.Pt(1280, 720)

func newPictureIn(s *Stream) *pictureIn {
	p := &pictureIn{stream: s, needKey: true, alarm: time.NewTimer(time.Hour)}
	p.alarm.Stop()
	p.shown.Store(int64(unknownTile.X)<<32 | int64(unknownTile.Y))
	return p
}

// visible reports whether anybody can see the pictures.
func (p *pictureIn) visible() bool {
	return p.shown.Load() != 0 && p.stream.leg.mixed.Load() && p.stream.Receiving()
}

func (p *pictureIn) setShown(width, height int) {
	before := p.shown.Swap(int64(width)<<32 | int64(height))
	switch {
	case width*height == 0:
		p.newest.clear() // when it is shown again, then not with a picture of long ago
	case int64(width*height) > before>>32*(before&0xffffffff):
		p.grown.Store(true) // the sender hears of it now, not when their next packet comes
		p.alarm.Reset(0)
	}
}

// watch does what is to be done at a certain time, until the reader has ended.
func (p *pictureIn) watch(ended <-chan struct{}) {
	defer p.alarm.Stop()
	for {
		select {
		case <-ended:
			return
		case <-p.alarm.C:
			p.ring(p.stream.leg.cfg.Now())
		}
	}
}

func (p *pictureIn) ring(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.codec == "" || p.codec == p.refused {
		return // nothing has come yet that could be asked for
	}
	if grown := p.grown.Swap(false); !grown && now.Before(p.ringsAt) {
		p.setAlarm(p.ringsAt.Sub(now))
		return
	}
	p.ringsAt = time.Time{}
	p.assembler.drain(now, func(pic picture) { p.decode(pic, now) })
	p.feedback(now)
}

// setAlarm has the alarm ring after d, or at once if what is shown has grown meanwhile.
func (p *pictureIn) setAlarm(d time.Duration) {
	p.alarm.Reset(d)
	if p.grown.Load() {
		p.alarm.Reset(0)
	}
}

func (p *pictureIn) push(codec *Codec, packet *rtp.Packet, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.arrived.Store(max(1, int64(now.Sub(p.stream.leg.made))))
	if codec.Name == p.refused {
		return
	}
	if codec.Name != p.codec {
		depack, err := newDepacketiser(codec.Name)
		if err != nil {
			p.refuse(codec.Name, err)
			return
		}
		p.closeDecoder()
		p.codec = codec.Name
		p.assembler.depack = depack
		p.assembler.reset()
		p.lose(now)
	}
	if packet.SSRC != p.ssrc {
		p.ssrc = packet.SSRC
		p.assembler.reset()
		p.playout.reset()
		p.lose(now)
	}
	p.assembler.rtt = p.stream.leg.roundTrip()
	p.assembler.wait = reorderWait
	if !p.stream.media.NoRepair {
		p.assembler.wait = gapWait(p.assembler.gaps.roundTrip(p.assembler.rtt))
	}
	p.assembler.push(&packet.Header, packet.Payload, now, func(pic picture) { p.decode(pic, now) })
	p.feedback(now)
}

// lose begins the wait for a key frame.
func (p *pictureIn) lose(now time.Time) {
	if !p.needKey || p.needSince.IsZero() {
		p.needKey, p.needSince, p.keyAsks = true, now, 0
		p.waiting.Store(max(1, int64(now.Sub(p.stream.leg.made))))
	}
}

// lacks reports whether the stream has been waiting for a key frame for so long, while packets come, that the last
// picture shown must not be taken for the present.
func (p *pictureIn) lacks(now time.Time) bool {
	since, arrived, at := p.waiting.Load(), p.arrived.Load(), int64(now.Sub(p.stream.leg.made))
	return since != 0 && at-since >= int64(greyAfter) && at-arrived < int64(packetsAreOld)
}

func (p *pictureIn) decode(pic picture, now time.Time) {
	if !p.visible() {
		// Nobody sees it: save the work, and ask for a key frame when somebody does.
		p.newest.clear()
		p.needKey, p.needSince, p.keyAsks = true, now, 0
		p.waiting.Store(0)
		p.release()
		return
	}
	if pic.afterLoss {
		p.lose(now)
	}
	if p.needKey && !pic.key && (p.decoder == nil || now.Sub(p.needSince) < keyPatience) {
		return
	}
	if p.decoder == nil {
		decoder, err := av.NewVideoDecoder(p.codec)
		if err != nil {
			p.refuse(p.codec, err)
			return
		}
		p.decoder = decoder
	}
	began := time.Now()
	out, err := p.decoder.Decode(pic.data, pic.timestamp)
	took := time.Since(began)
	p.stream.leg.metrics.decodeSeconds.Add(took.Seconds())
	if meter := p.stream.leg.meter.Load(); meter != nil {
		meter.Add(int64(took))
	}
	if err != nil {
		p.stream.leg.metrics.decodeErrors.Inc()
		p.lose(now)
		return
	}
	if pic.key {
		p.needKey, p.keyBytes = false, len(pic.data)
	}
	p.waiting.Store(0)
	if out == nil {
		return
	}
	p.newest.set(out, p.due(pic.timestamp, now), p.stream.leg.cfg.Now()) // decoding has taken a while
	if !p.visible() {
		p.newest.clear() // switched off meanwhile
	}
}

// due is when a picture that is whole now is to be shown. A screen is shown at once: its pictures are far apart and large.
func (p *pictureIn) due(timestamp uint32, now time.Time) time.Time {
	if p.stream.media.Label == "screen" {
		return now
	}
	made := p.stream.leg.made
	due := made.Add(p.playout.place(timestamp, now.Sub(made)))
	if due.Before(now) || p.playout.even+p.playout.sync == 0 {
		due = now
	}
	p.synchronise(timestamp, due, now)
	return due
}

// refuse gives up on a codec; its packets are passed over from now on.
func (p *pictureIn) refuse(codec string, err error) {
	p.refused = codec
	p.waiting.Store(0)
	p.stream.log.Error("cannot decode this caller's video", "codec", codec, "error", err)
	p.stream.leg.metrics.decodeErrors.Inc()
}

// feedback asks the sender for what is needed: a key frame, or a bit rate that fits the tile.
func (p *pictureIn) feedback(now time.Time) {
	s := p.stream
	if n := p.assembler.lostPackets; n != p.lostCounted {
		s.metrics.lost.Add(float64(n - p.lostCounted))
		s.seen.lost.Add(n - p.lostCounted)
		p.lostCounted = n
	}
	if n := p.assembler.malformed; n != p.badCounted {
		s.metrics.malformed.Add(float64(n - p.badCounted))
		p.badCounted = n
	}
	if p.assembler.broken || p.assembler.lost {
		p.lose(now)
	}
	p.limit(now)
	if !p.visible() {
		return
	}
	instead := p.repair(now)
	interval := keyInterval
	switch {
	case p.decoder != nil && p.needKey && now.Sub(p.needSince) >= keyPatience:
		interval = keyReminder // the sender may have none to give
	case p.keyAsks > 1:
		interval = keyAgain
	}
	if (p.needKey || instead) && now.Sub(p.keyAsked) >= interval {
		p.keyAsked = now
		p.keyAsks++
		s.leg.metrics.keyRequestsOut.Inc()
		s.sendRTCP(&rtcp.PictureLossIndication{SenderSSRC: s.media.SSRC, MediaSSRC: p.ssrc})
	}
}

// repair asks for what is missing and sets the alarm to when it must be asked for again or is no longer waited for. It
// reports whether a key frame is to be asked for instead: if it is there sooner, as it is smaller than all that is missing,
// or as no answer can come in time any more.
func (p *pictureIn) repair(now time.Time) (instead bool) {
	s, a := p.stream, &p.assembler
	deadline := a.waits()
	if deadline.IsZero() {
		return false
	}
	next := deadline
	if !s.media.NoRepair {
		const usual = 1000 // bytes of a packet
		first := a.next
		if a.keyHeld && int16(a.keyAt-first) > 0 {
			first = a.keyAt // with it nobody needs what was before
		}
		switch n := len(a.gaps.from(first)); {
		case p.keyBytes > 0 && n*usual > p.keyBytes*3/2, a.gaps.hopeless(first, a.rtt, deadline, now):
			instead = true
		case n > 0:
			var at time.Time
			if p.missing, at = a.gaps.due(first, a.rtt, now, p.missing[:0]); len(p.missing) > 0 {
				s.leg.metrics.packetsAsked.Add(float64(len(p.missing)))
				s.sendRTCP(&rtcp.TransportLayerNack{
					SenderSSRC: s.media.SSRC, MediaSSRC: p.ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(p.missing)})
			}
			if !at.IsZero() && at.Before(next) {
				next = at
			}
		}
	}
	if !next.Equal(p.ringsAt) {
		p.ringsAt = next
		p.setAlarm(max(0, next.Sub(now)))
	}
	return instead
}

// limit asks the sender for a bit rate that suits the tile: each second, soon when it falls
// and at once when it rises, for a key frame that is asked for next needs it.
func (p *pictureIn) limit(now time.Time) {
	own, since := p.bitrate(), now.Sub(p.rembSent)
	if since < rembInterval && own <= p.rembOwn && (own == p.rembOwn || since < rembInterval/5) {
		return
	}
	bitrate := p.stream.leg.wanted(p.stream)
	p.rembSent, p.rembOwn = now, own
	p.stream.sendRTCP(&rtcp.ReceiverEstimatedMaximumBitrate{
		SenderSSRC: p.stream.media.SSRC, Bitrate: float32(bitrate), SSRCs: []uint32{p.ssrc},
	})
}

// bitrate is what the sender is asked for at most, in bit/s.
func (p *pictureIn) bitrate() int {
	if !p.visible() {
		return tileBitrate(0, 0)
	}
	shown := p.shown.Load()
	return tileBitrate(int(shown>>32), int(shown&0xffffffff))
}

func (p *pictureIn) closeDecoder() {
	if p.decoder != nil {
		p.decoder.Close()
		p.decoder = nil
	}
}

func (p *pictureIn) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.release()
	p.newest.clear()
	p.closeDecoder()
}

// tileBitrate is what a sender is asked for at most, in bit/s, to fill a tile of that
// size well; a trickle keeps an unseen stream alive so that it can come back at once.
func tileBitrate(width, height int) int {
	switch pixels := width * height; {
	case pixels == 0:
		return 50_000
	case pixels <= 160*90:
		return 120_000
	case pixels <= 320*180:
		return 300_000
	case pixels <= 480*270:
		return 550_000
	case pixels <= 640*360:
		return 900_000
	case pixels <= 960*540:
		return 1_500_000
	}
	return 2_500_000
}
