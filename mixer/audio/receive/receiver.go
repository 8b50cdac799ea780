// Package receive turns one caller's RTP audio packets into the bus's 20 ms
// frames: jitter buffer, decoders by payload type, concealment, and the small
// stretches that keep the delay where it should be.
package receive

import (
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/audio/jitter"
	"rendezvous/mixer/audio/red"
	"rendezvous/mixer/audio/stretch"
	"rendezvous/mixer/audio/talk"
)

// NoLevel is the level of a packet that carries no audio level extension.
const NoLevel = -1

// Config says what may come in, and how long it may be waited for.
type Config struct {
	Log    *slog.Logger           // nil discards
	Codecs map[uint8]codec.Params // by payload type; replaced by SetCodecs
	Jitter jitter.Config
	Now    func() time.Time // nil is time.Now; the clock of the arrivals given to Push
}

// Stats is what a Receiver has counted.
type Stats struct {
	Jitter jitter.Stats

	UnknownType  uint64 // packets of a payload type nobody negotiated
	Malformed    uint64 // payloads without a sensible length
	DecodeErrors uint64 // payloads the decoder refused; concealed
	Concealed    uint64 // samples of 48 kHz made up for lost or late packets
	FECUsed      uint64 // packets restored from in-band FEC
	Accelerated  uint64 // samples of 48 kHz taken out to shorten the delay
	Expanded     uint64 // samples of 48 kHz put in to lengthen the delay
	Undecoded    uint64 // packets passed over because they are background
}

// Receiver is a caller's audio input. Push is called from the network's
// goroutine; the other methods may be called from any.
type Receiver struct {
	cfg    Config
	buffer *jitter.Buffer
	types  atomic.Pointer[[128]*input]

	// Scratch of Push.
	pushed jitter.Packet
	blocks []red.Block
	copyOf rtp.Header

	mu     sync.Mutex        // guards opened
	opened map[string]*input // by codec name

	whole atomic.Bool // nothing is passed over as background

	reading sync.Mutex // guards what follows; taken before mu
	play    player
	closed  bool // written with mu held too

	unknownType, malformed, decodeErrors, concealed, fecUsed, accelerated, expanded, undecoded atomic.Uint64
}

// input is a decoder with what Push has to know of its codec.
type input struct {
	name  string
	clock int
	dec   codec.Decoder // nil for comfort noise (RFC 3389), of which only is taken that its sender falls silent
	red   bool          // payloads of others, with repetitions (RFC 2198); no decoder of its own
}

func (in *input) samples(payload []byte) int {
	if in.dec == nil {
		return audio.FrameSamples
	}
	return codec.Samples(in.name, payload)
}

// comfortNoise is understood without being negotiated at its static payload type (RFC 3551 table 4).
const comfortNoise = 13

// New returns a receiver without packets.
func New(cfg Config) *Receiver {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Receiver{cfg: cfg, buffer: jitter.New(cfg.Jitter), opened: make(map[string]*input)}
	r.play.talk, r.play.interval, r.play.look = talk.New(talk.Decoding), firstCheck, newLook(0)
	r.SetCodecs(cfg.Codecs)
	return r
}

// SetCodecs replaces the payload types that are understood; packets of others are counted and
// dropped. Codecs that are not known here (telephone-event) are left out; "red" (RFC 2198) is known.
func (r *Receiver) SetCodecs(codecs map[uint8]codec.Params) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	var types [128]*input
	for pt, p := range codecs {
		name := strings.ToUpper(p.Name)
		if pt < 128 && name == "RED" {
			types[pt] = &input{name: name, red: true}
		}
		if pt > 127 || codec.ClockRate(name) == 0 {
			continue
		}
		in := r.opened[name]
		if in == nil {
			dec, err := codec.NewDecoder(p)
			if err != nil {
				r.cfg.Log.Error("audio codec cannot be received", "codec", p.Name, "error", err)
				continue
			}
			in = &input{name: name, clock: codec.ClockRate(name), dec: dec}
			r.opened[name] = in
		}
		types[pt] = in
	}
	if types[comfortNoise] == nil {
		types[comfortNoise] = &input{name: "CN", clock: 8000}
	}
	r.types.Store(&types)
}

// Push takes one RTP packet. level is its audio level (RFC 6464) in -dBov, 0..127,
// or NoLevel. h and payload are not kept. Packets of unknown payload type are dropped and
// counted, all but their sequence number: give Push the telephone-events too, so that
// they do not count as lost. Calls must not overlap.
func (r *Receiver) Push(h *rtp.Header, payload []byte, level int, arrival time.Time) {
	if in := r.types.Load()[h.PayloadType&127]; in != nil && in.red {
		r.pushRedundant(h, payload, level, arrival)
		return
	}
	r.push(h, payload, level, arrival, false)
}

// push takes the sound of one packet; redundant says that it is repeated in a later one.
func (r *Receiver) push(h *rtp.Header, payload []byte, level int, arrival time.Time, redundant bool) {
	in := r.types.Load()[h.PayloadType&127]
	if in == nil || in.red {
		r.unknownType.Add(1)
		if !redundant {
			r.buffer.Hole(h.SSRC, h.SequenceNumber, arrival)
		}
		return
	}
	if in.dec == nil {
		payload = nil
	}
	samples := in.samples(payload)
	if samples == 0 {
		r.malformed.Add(1)
		return
	}
	r.pushed = jitter.Packet{
		SSRC: h.SSRC, Sequence: h.SequenceNumber, Timestamp: h.Timestamp, Clock: in.clock,
		PayloadType: h.PayloadType & 127, Samples: samples, Level: level, Payload: payload,
		Discontinuous: in.dec == nil || codec.Discontinuous(in.name, payload),
		FEC:           codec.HasFEC(in.name, payload),
		Redundant:     redundant,
	}
	r.buffer.Push(&r.pushed, arrival)
	r.pushed.Payload = nil
}

// Heard is a packet that is played, and when its first sample is: for who plays something else that belongs to it.
type Heard struct {
	SSRC, Timestamp uint32
	Clock           int // of the timestamp, Hz
	At              time.Time
	Delay           time.Duration // how much longer it has waited than the fastest packets would have had to
}

// Heard returns the packet played last, or passed over for its level; false before the first.
func (r *Receiver) Heard() (Heard, bool) {
	r.reading.Lock()
	defer r.reading.Unlock()
	return r.play.heard, !r.play.heard.At.IsZero()
}

// SetMinimumDelay has the sound wait at least so long, counted as Heard.Delay is, up to Config.Jitter's MaxDelay: where
// the picture that belongs to it comes later. It is stretched until it does; 0 leaves it to the network again.
func (r *Receiver) SetMinimumDelay(d time.Duration) { r.buffer.SetMinimum(d) }

// SetSparing says whether packets are passed over that are background, as their sender says or they look; at first they are.
func (r *Receiver) SetSparing(on bool) { r.whole.Store(!on) }

// ReadFrame fills f with the next 20 ms and reports whether there is any sound in
// it. It is audio.Member's ReadFrame.
func (r *Receiver) ReadFrame(f *audio.Frame) bool {
	r.reading.Lock()
	defer r.reading.Unlock()
	if r.closed {
		return false
	}
	p := &r.play
	p.holed = false
	now := r.cfg.Now()
	r.fill(now, true)
	if p.n == 0 {
		return false
	}
	// What is at hand when the next packet is pulled: a frame is taken before.
	if excess := r.buffer.Excess(p.n % audio.FrameSamples); excess != 0 {
		r.correct(excess)
		r.fill(now, true)
	}
	return p.take(f)
}

// Holed reports whether sound was made up for lost or late packets when a frame was read last. It is audio.Holed's method.
func (r *Receiver) Holed() bool {
	r.reading.Lock()
	defer r.reading.Unlock()
	return r.play.holed
}

// UndecodedLevel is how loud the sound was, in dBov, that ReadFrame has just left out because it looked like background, or let
// fade away: as loud as when some of it was decoded last. It is talk.Silence if nothing was. It is audio.Undecoded's method.
func (r *Receiver) UndecodedLevel() float64 {
	r.reading.Lock()
	defer r.reading.Unlock()
	return r.play.look.passed
}

// SkipFrame passes over the next 20 ms without decoding them, for a member who is
// muted. It is audio.Skipper's method.
func (r *Receiver) SkipFrame() {
	r.reading.Lock()
	defer r.reading.Unlock()
	if r.closed {
		return
	}
	r.fill(r.cfg.Now(), false)
	r.play.take(nil)
}

// correct shortens or lengthens the sound at hand. It asks for less likeness of the waveform
// to itself the longer it finds no place, and the more delay there is to lose.
func (r *Receiver) correct(excess int) {
	p := &r.play
	likeness := max(0, 0.92-0.04*float64(p.tries))
	if excess > 100*48 {
		likeness = min(likeness, 0.5)
	}
	before := p.n
	if excess > 0 {
		p.n = len(stretch.Shorten(p.pcm[:p.n], likeness, excess))
		r.accelerated.Add(uint64(before - p.n))
	} else {
		p.n = len(stretch.Lengthen(p.pcm[:p.n], likeness))
		r.expanded.Add(uint64(p.n - before))
	}
	if p.n == before {
		p.tries++
		return
	}
	p.sound = max(0, p.sound+p.n-before)
	p.tries = 0
	r.buffer.Corrected()
}

// Stats returns the counters and the present delay.
func (r *Receiver) Stats() Stats {
	return Stats{
		Jitter:       r.buffer.Stats(),
		UnknownType:  r.unknownType.Load(),
		Malformed:    r.malformed.Load(),
		DecodeErrors: r.decodeErrors.Load(),
		Concealed:    r.concealed.Load(),
		FECUsed:      r.fecUsed.Load(),
		Accelerated:  r.accelerated.Load(),
		Expanded:     r.expanded.Load(),
		Undecoded:    r.undecoded.Load(),
	}
}

// Close frees the decoders. What is pushed after it is dropped, and there is nothing more to read.
func (r *Receiver) Close() {
	r.reading.Lock()
	defer r.reading.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.types.Store(new([128]*input))
	for name, in := range r.opened {
		in.dec.Close()
		delete(r.opened, name)
	}
}
