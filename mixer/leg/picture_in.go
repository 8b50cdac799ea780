package leg

import (
	"image"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"rendezvous/mixer/av"
)

const (
	gapWait      = 180 * time.Millisecond // a missing packet may still come: two NACK rounds
	reorderWait  = 60 * time.Millisecond  // where nobody repeats packets
	keyInterval  = 500 * time.Millisecond // between two key-frame requests
	rembInterval = time.Second
	// After a loss pictures are withheld until a key frame comes, so that nobody sees
	// smears; a sender that answers no request is shown as it is after this.
	keyPatience = 2 * time.Second
	keyReminder = 3 * time.Second // between requests then
)

// pictureIn turns one video stream's packets into its newest picture.
type pictureIn struct {
	stream   *Stream
	newest   newest
	rotation atomic.Int32
	shown    atomic.Int64 // tile width<<32 | height, pixels; 0 if not on the canvas

	// The rest belongs to the stream's RTP reader.
	codec       string
	refused     string // a codec that has no decoder here
	ssrc        uint32
	assembler   assembler
	decoder     *av.VideoDecoder
	needKey     bool
	needSince   time.Time
	keyAsked    time.Time
	rembSent    time.Time
	rembOwn     int // of this stream, when last sent
	lostCounted uint64
	badCounted  uint64
}

// unknownTile is assumed of a stream in a mix until the canvas has placed it.
var unknownTile = image.Pt(1280, 720)

func newPictureIn(s *Stream) *pictureIn {
	p := &pictureIn{stream: s, needKey: true}
	p.assembler.wait = gapWait
	if s.media.NoRepair {
		p.assembler.wait = reorderWait
	}
	p.setShown(unknownTile.X, unknownTile.Y)
	return p
}

// visible reports whether anybody can see the pictures.
func (p *pictureIn) visible() bool {
	return p.shown.Load() != 0 && p.stream.leg.mixed.Load() && p.stream.Receiving()
}

func (p *pictureIn) setShown(width, height int) {
	p.shown.Store(int64(width)<<32 | int64(height))
	if width*height == 0 {
		p.newest.clear() // when it is shown again, then not with a picture of long ago
	}
}

func (p *pictureIn) push(codec *Codec, packet *rtp.Packet, now time.Time) {
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
		p.lose(now)
	}
	p.assembler.push(&packet.Header, packet.Payload, now, func(pic picture) { p.decode(pic, now) })
	p.feedback(now)
}

// lose begins the wait for a key frame.
func (p *pictureIn) lose(now time.Time) {
	if !p.needKey || p.needSince.IsZero() {
		p.needKey, p.needSince = true, now
	}
}

func (p *pictureIn) decode(pic picture, now time.Time) {
	if !p.visible() {
		// Nobody sees it: save the work, and ask for a key frame when somebody does.
		p.newest.clear()
		p.needKey, p.needSince = true, now
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
	p.stream.leg.metrics.decodeSeconds.Add(time.Since(began).Seconds())
	if err != nil {
		p.stream.leg.metrics.decodeErrors.Inc()
		p.lose(now)
		return
	}
	if pic.key {
		p.needKey = false
	}
	if out == nil {
		return
	}
	p.newest.set(out)
	if !p.visible() {
		p.newest.clear() // switched off meanwhile
	}
}

// refuse gives up on a codec; its packets are passed over from now on.
func (p *pictureIn) refuse(codec string, err error) {
	p.refused = codec
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
	interval := keyInterval
	if p.decoder != nil && now.Sub(p.needSince) >= keyPatience {
		interval = keyReminder // the sender may have none to give
	}
	if p.needKey && p.visible() && now.Sub(p.keyAsked) >= interval {
		p.keyAsked = now
		s.leg.metrics.keyRequestsOut.Inc()
		s.sendRTCP(&rtcp.PictureLossIndication{SenderSSRC: s.media.SSRC, MediaSSRC: p.ssrc})
	}
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
