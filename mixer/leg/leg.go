package leg

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rendezvous/mixer/leg/congestion"
)

// Config is what a door tells of a caller besides the media.
type Config struct {
	Log     *slog.Logger // nil: nothing is logged
	Metrics *Metrics     // nil: nothing is counted for anybody to see

	// OnDTMF is told each key the caller presses (RFC 4733, or the door's own way
	// through Leg.Key): '0'..'9', '*', '#', 'A'..'D'. It is called from a goroutine
	// that reads packets and must not block; may be nil.
	OnDTMF func(key rune)

	// OnFirst is told of the first RTP packet from the caller, and what it is of. It is called from the goroutine that reads it and must
	// not block; may be nil.
	OnFirst func(Kind)

	// OnSize is told how large the pictures of the room are that the caller is sent from now on, in pixels: with the first of them, and whenever their
	// size has changed. It is called from the goroutine that makes pictures and must not block; may be nil.
	OnSize func(width, height int)

	Now func() time.Time // when packets come and go; nil is time.Now
}

// Leg is the media of one caller. A door makes it, attaches the media it
// negotiated, gives it to conference.Room.Join, and closes it at the end.
//
// The mixer has its other side, Port; its streams are video.Sources.
type Leg struct {
	cfg     Config
	log     *slog.Logger
	metrics *Metrics

	mu      sync.Mutex // guards streams, closed and the start of the sender
	streams []*Stream
	closed  bool
	closing sync.Once

	// The streams that the room's mix goes to, and where the caller's sound comes
	// from; swapped under mu, read anywhere.
	audio, video atomic.Pointer[Stream]
	sound        atomic.Pointer[soundIn]
	generation   atomic.Uint64 // grows when streams come, go or change direction
	made         time.Time
	lastPacket   atomic.Int64                 // nanoseconds from made, at least one; 0 until something comes
	first        atomic.Bool                  // OnFirst has been told
	mixed        atomic.Bool                  // in a mixer
	meter        atomic.Pointer[atomic.Int64] // how long decoding pictures takes is added there, nanoseconds; nil: nowhere
	mixes        atomic.Uint64                // grows when it enters a mixer and when it leaves
	whole        atomic.Bool                  // its sound is decoded whatever its sender calls it

	trips        roundTrips
	player       player
	view         view
	reports      *congestion.Reports // of the path, by what is said of streams without Media.Congestion
	follower     follower            // belongs to the goroutine that calls Port.Adapt
	soundBitrate atomic.Int32        // of Opus, in bit/s
	soundCopies  atomic.Int32        // earlier packets that each of sound repeats
	sender       *sender
	tally        tally
}

// New returns a leg without media.
func New(cfg Config) *Leg {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	l := &Leg{cfg: cfg, log: cfg.Log, metrics: cfg.Metrics, made: cfg.Now()}
	l.reports = congestion.NewReports(congestion.Config{Initial: startBitrate, Min: minBitrate, Max: maxBitrate, Now: cfg.Now})
	l.view.current = -1
	l.soundBitrate.Store(int32(soundSteps[0].bitrate))
	l.sender = newSender(l)
	l.metrics.legs.Inc()
	return l
}

// ErrClosed is returned for media attached to a closed leg.
var ErrClosed = errors.New("leg is closed")

// Attach adds a medium and starts its readers. The transport stays the door's to close;
// closing it ends the readers. It fails with ErrClosed after Close, and for a Kind that is
// neither Audio nor Video; nothing reads the transport then.
func (l *Leg) Attach(m Media) (*Stream, error) {
	if m.Label == "" {
		m.Label = "main"
	}
	s, err := newStream(l, m)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		s.release()
		return nil, ErrClosed
	}
	l.streams = append(l.streams, s)
	l.chooseOutputs()
	l.sender.start()
	s.start()
	return s, nil
}

// chooseOutputs picks the first stream of each kind that wants to be sent to. l.mu is held.
func (l *Leg) chooseOutputs() {
	var audio, video *Stream
	var sound *soundIn
	for _, s := range l.streams {
		if sound == nil && s.Receiving() {
			sound = s.sound.Load()
		}
		if s.formats.Load().send.Name == "" {
			continue
		}
		switch {
		case s.media.Kind == Audio && audio == nil:
			audio = s
		case s.media.Kind == Video && video == nil:
			video = s
		}
	}
	l.audio.Store(audio)
	l.sound.Store(sound)
	if sound != nil {
		sound.receiver.SetSparing(!l.whole.Load())
	}
	if l.video.Swap(video) != video && video != nil {
		l.view.restart()
	}
	l.generation.Add(1)
}

// detach removes a stream whose readers have ended.
func (l *Leg) detach(s *Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.streams = slices.DeleteFunc(l.streams, func(t *Stream) bool { return t == s })
	l.chooseOutputs()
}

// wanted is what a stream's sender is asked for at most, in bit/s. Where the door has a
// congestion controller all the caller's media share one path (BUNDLE, RFC 9143), and a
// browser takes what is asked of one stream for all of them.
func (l *Leg) wanted(s *Stream) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum, bundled := 0, false
	for _, t := range l.streams {
		bundled = bundled || t.media.Congestion != nil
		if t.picture != nil && t.Receiving() {
			sum += t.picture.bitrate()
		}
	}
	if !bundled {
		return s.picture.bitrate()
	}
	return sum
}

// Streams appends the leg's streams to dst, in the order they were attached.
func (l *Leg) Streams(dst []*Stream) []*Stream {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(dst, l.streams...)
}

// Play queues 48 kHz mono sound that only this caller hears and returns a channel that is
// closed when it has been played or dropped. pcm must not be written afterwards.
func (l *Leg) Play(pcm []int16) <-chan struct{} { return l.player.play(pcm) }

// StopPlaying drops what Play has queued.
func (l *Leg) StopPlaying() { l.player.stop() }

// Key reports a key press that came by signalling (SIP INFO).
func (l *Leg) Key(key rune) {
	if l.cfg.OnDTMF != nil {
		l.cfg.OnDTMF(key)
	}
}

// RequestKeyFrame makes the next picture sent to this caller a key frame.
func (l *Leg) RequestKeyFrame() {
	l.metrics.keyRequestsIn.Inc()
	l.view.requestKey()
}

// LastPacket is when the last RTP or RTCP packet came from the caller, of any
// medium; for a leg that heard nothing yet, when it was made.
func (l *Leg) LastPacket() time.Time { return l.made.Add(time.Duration(l.lastPacket.Load())) }

// Heard reports whether any RTP or RTCP packet has come from the caller.
func (l *Leg) Heard() bool { return l.lastPacket.Load() != 0 }

// hear notes that a packet has come. What is kept is a distance: a time of day would be another after the
// system's clock is set, and a call would seem to be silent for hours.
func (l *Leg) hear(now time.Time) { l.lastPacket.Store(max(1, int64(now.Sub(l.made)))) }

// Close stops the leg and waits for its goroutines. The door closes the
// transports first, or Close waits for it to.
func (l *Leg) Close() {
	l.closing.Do(func() {
		l.mu.Lock()
		l.closed = true
		streams := slices.Clone(l.streams)
		l.mu.Unlock()
		l.sender.close()
		l.player.close()
		for _, s := range streams {
			s.Close()
		}
		l.metrics.legs.Dec()
	})
}
