package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"rendezvous/mixer/av"
)

const (
	filmWidth, filmHeight = 640, 360
	filmBitrate           = 600_000 // bit/s
	filmPictures          = 4 * pictureRate
	filmKeyEvery          = 2 * pictureRate
	filmPayload           = 1150 // bytes of a packet
	spectators            = 1    // who watch already
	pictureLimit          = 10 * time.Second
)

// picture measures from when somebody asks to watch until the whole of their first picture is there.
func (b *bench) picture(ctx context.Context, n int) (figures []figure, err error) {
	h, err := startHost(b.dir, b.program, 1)
	if err != nil {
		return nil, err
	}
	defer h.close()
	film, err := newFilm()
	if err != nil {
		return nil, err
	}
	l := newLoop(b.voices)
	defer func() { err = errors.Join(err, l.close(context.WithoutCancel(ctx))) }()
	sender, err := dial(ctx, h, b.id, call{room: roomName(0), name: "Camera", media: "video"})
	if err != nil {
		return nil, err
	}
	sender.manner, sender.film = shows, film
	l.add(sender)
	for range spectators {
		if _, err := b.watchPictures(ctx, h, l); err != nil {
			return nil, err
		}
	}
	if err := pause(ctx, settling); err != nil {
		return nil, err
	}
	var connected, first []float64
	for i := range n {
		w, err := b.watchPictures(ctx, h, l)
		if err != nil {
			return nil, fmt.Errorf("join %d: %w", i+1, err)
		}
		connected = append(connected, w.connected.Seconds()*1000)
		took, err := w.wait(ctx, l)
		if err != nil {
			return nil, fmt.Errorf("join %d: %w", i+1, err)
		}
		first = append(first, took.Seconds()*1000)
		if err := l.remove(ctx, w.caller); err != nil {
			return nil, fmt.Errorf("join %d: %w", i+1, err)
		}
		if err := pause(ctx, time.Duration(200+rand.IntN(200))*time.Millisecond); err != nil {
			return nil, err
		}
	}
	result := fmt.Sprintf("Load/picture/joins=%d", n)
	return []figure{
		{result, "connected, p50", "ms-connected-p50", []float64{percentile(connected, 50)}},
		{result, "connected, p95", "ms-connected-p95", []float64{percentile(connected, 95)}},
		{result, "first picture, p50", "ms-picture-p50", []float64{percentile(first, 50)}},
		{result, "first picture, p95", "ms-picture-p95", []float64{percentile(first, 95)}},
	}, nil
}

// watcher waits for pictures.
type watcher struct {
	caller    *caller
	begun     time.Time
	connected time.Duration
	first     time.Time // when the last packet of the first key frame came; the loop's
	key       keyFrame
}

// watchPictures joins as one.
func (b *bench) watchPictures(ctx context.Context, d door, l *loop) (w *watcher, err error) {
	w = &watcher{begun: time.Now()}
	if w.caller, err = dial(ctx, d, b.id, call{room: roomName(0), media: "video", watches: true}); err != nil {
		return nil, err
	}
	w.connected = time.Since(w.begun)
	if err := w.caller.stamp(); err != nil {
		return nil, errors.Join(err, w.caller.close(ctx))
	}
	w.caller.manner, w.caller.heard = listens, w.take
	l.add(w.caller)
	return w, nil
}

// take is told each packet.
func (w *watcher) take(at time.Time, packet []byte) {
	if w.first.IsZero() && w.key.take(packet) {
		w.first = at
	}
}

// wait waits for the first picture.
func (w *watcher) wait(ctx context.Context, l *loop) (time.Duration, error) {
	for {
		var first time.Time
		l.do(func([]*caller) { first = w.first })
		if !first.IsZero() {
			return first.Sub(w.begun.Round(0)), nil
		}
		if time.Since(w.begun) > pictureLimit {
			return 0, fmt.Errorf("no picture after %v", pictureLimit)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// keyFrame finds out when all packets of a key frame of H.264 have come (RFC 6184).
type keyFrame struct {
	next   uint16 // sequence number
	begun  bool
	sound  bool // nothing is missing since a key frame began
	passed bool // a slice of a key frame was there
}

// take takes a packet of RTP and reports whether a key frame ends with it, none of which is missing.
func (k *keyFrame) take(packet []byte) bool {
	var p rtp.Packet
	if err := p.Unmarshal(packet); err != nil || len(p.Payload) < 2 {
		return false
	}
	const slice, parameters, aggregate, fragment = 5, 7, 24, 28
	kind, start := p.Payload[0]&31, true
	switch {
	case kind == aggregate && len(p.Payload) > 3:
		kind = p.Payload[3] & 31
	case kind == fragment:
		kind, start = p.Payload[1]&31, p.Payload[1]&0x80 != 0
	}
	if k.begun && p.SequenceNumber != k.next {
		k.sound = false
	}
	k.begun, k.next = true, p.SequenceNumber+1
	if kind == parameters && start {
		k.sound, k.passed = true, false
	}
	k.passed = k.passed || k.sound && kind == slice
	if !p.Marker {
		return false
	}
	whole := k.sound && k.passed
	k.sound, k.passed = false, false
	return whole
}

// newFilm is some seconds of a moving pattern, each picture in the payloads of its packets.
func newFilm() (film [][][]byte, err error) {
	e, err := av.NewVideoEncoder(av.VideoEncoderConfig{Codec: "H264", Width: filmWidth, Height: filmHeight, FPS: pictureRate, Bitrate: filmBitrate, MaxSlice: filmPayload})
	if err != nil {
		return nil, fmt.Errorf("open an H.264 encoder: %w", err)
	}
	defer e.Close()
	var cut codecs.H264Payloader
	for n := range filmPictures {
		p := av.NewPicture(filmWidth, filmHeight)
		av.Fill(p, p.Bounds(), av.RGB(60, 90, 140))
		for y := range filmHeight {
			for x := range filmWidth {
				p.Y[y*p.StrideY+x] = uint8(64 + (x*x/97+y*y/61+n*3)%128)
			}
		}
		data, _, err := e.Encode(p, uint32(n*pictureTicks), n%filmKeyEvery == 0)
		p.Release()
		if err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
		if len(data) > 0 {
			film = append(film, cut.Payload(filmPayload, append([]byte(nil), data...)))
		}
	}
	return film, nil
}
