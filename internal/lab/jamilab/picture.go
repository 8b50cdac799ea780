package jamilab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// ErrNoPicture says that a daemon has no picture to show yet.
var ErrNoPicture = errors.New("jamilab: no picture")

// shmHead is what precedes the pictures in the memory that a daemon shares with its clients
// (the daemon's src/media/video/shm_header.h on a 64-bit Linux).
type shmHead struct {
	_                                       [2][32]byte // semaphores
	Serial, FrameSize, MapSize, Read, Write uint32
}

// shared is the newest picture in a daemon's shared memory, as bytes.
func shared(path string, bytesOf int) (serial uint32, bgra []byte, err error) {
	for range 10 { // the daemon may exchange its two pictures as we read
		b, err := os.ReadFile(path)
		if err != nil {
			return 0, nil, err
		}
		after, err := os.ReadFile(path)
		if err != nil {
			return 0, nil, err
		}
		var head, still shmHead
		size := binary.Size(head)
		if _, err := binary.Decode(b, binary.NativeEndian, &head); err != nil {
			return 0, nil, err
		}
		if _, err := binary.Decode(after, binary.NativeEndian, &still); err != nil {
			return 0, nil, err
		}
		if head.Serial != still.Serial || head.Read != still.Read || head.FrameSize != still.FrameSize {
			continue
		}
		if head.Serial == 0 || int(head.FrameSize) != (bytesOf+15)&^15 || size+int(head.Read)+bytesOf > len(b) {
			return head.Serial, nil, nil
		}
		return head.Serial, b[size+int(head.Read):][:bytesOf], nil
	}
	return 0, nil, nil
}

// Picture is what a daemon gives its client to show next: of the source named by its media
// resource locator, of the call with that id, or of the participant with that sinkId in a
// conference. The picture is turned and cut out by the daemon.
func (p *Peer) Picture(ctx context.Context, sink string) (image.Image, error) {
	if err := p.Call(ctx, "VideoManager.startShmSink", []any{sink, true}); err != nil {
		return nil, err
	}
	none := fmt.Errorf("%w of %s at %s", ErrNoPicture, sink, p.name)
	// What is there may be of before a change of the size: the next one is waited for.
	var first uint32
	var size image.Point
	for range 100 {
		before, err := p.renderer(ctx, sink)
		if err != nil {
			return nil, err
		}
		if before.path == "" || before.size.X == 0 {
			return nil, none
		}
		serial, bgra, err := shared(before.path, before.size.X*before.size.Y*4)
		if err != nil {
			return nil, errors.Join(none, err)
		}
		after, err := p.renderer(ctx, sink)
		if err != nil {
			return nil, err
		}
		switch {
		case before != after:
			size = image.Point{}
		case before.size != size:
			first, size = serial, before.size
		case serial != first && bgra != nil:
			return rgba(size, bgra), nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", none, ctx.Err())
		}
	}
	return nil, none
}

// renderer is where a daemon's pictures of one kind are, and how large.
type renderer struct {
	path string
	size image.Point
}

func (p *Peer) renderer(ctx context.Context, sink string) (r renderer, err error) {
	var m map[string]string
	if err := p.Call(ctx, "VideoManager.getRenderer", []any{sink}, &m); err != nil {
		return r, err
	}
	if m["SHM_PATH"] == "" {
		return r, nil
	}
	r.path = filepath.Join("/dev/shm", m["SHM_PATH"])
	if r.size.X, err = strconv.Atoi(m["WIDTH"]); err != nil {
		return r, fmt.Errorf("jamilab: %s: %w", p.name, err)
	}
	if r.size.Y, err = strconv.Atoi(m["HEIGHT"]); err != nil {
		return r, fmt.Errorf("jamilab: %s: %w", p.name, err)
	}
	return r, nil
}

func rgba(size image.Point, bgra []byte) image.Image {
	img := image.NewRGBA(image.Rectangle{Max: size})
	for i := 0; i < len(bgra); i += 4 {
		img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = bgra[i+2], bgra[i+1], bgra[i], 255
	}
	return img
}
