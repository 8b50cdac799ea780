package recordings

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// What a film can be like of which nothing can be played.
const (
	errNothing = damage("the film is empty")
	errNoFilm  = damage("the film is not there")
	errNoMovie = damage("no whole fragment is in the film")
	errNoHead  = damage("the head of the film is lost, what was recorded is there")
)

// damage says why a film that can be read cannot be played. It is an ErrDamaged.
type damage string

func (d damage) Error() string { return string(d) }

// Is tells errors.Is that it is an ErrDamaged.
func (d damage) Is(target error) bool { return target == ErrDamaged }

// ourClocks are the time scales of the tracks of all our films, for one whose head is lost: ticks per second by
// the track's id, which counts from 1.
var ourClocks = map[uint32]uint32{videoTrack + 1: videoClock, audioTrack + 1: sampleRate}

// checkRest looks at what lies behind the part of a film that scanMP4 found whole, which is 0 if it found none, and
// returns an error if that is more than the half of a fragment that a crash leaves.
func checkRest(ctx context.Context, r io.ReaderAt, whole, size int64) error {
	next, err := nextFragment(ctx, r, whole, size)
	switch {
	case errors.Is(err, errNoMovie) && size == 0:
		return errNothing
	case errors.Is(err, errNoMovie):
		return nil
	case err != nil:
		return err
	case whole == 0:
		return errNoHead
	}
	return damage(fmt.Sprintf("%d bytes of the film at %d cannot be read, and more follows", next.start-whole, whole))
}

// fragment is a whole fragment of one of our films: a moof, and the mdat that belongs to it.
type fragment struct {
	start, end int64
	moof       []byte // without its header of 8 bytes
	until      time.Duration
}

// fragmentAt returns the fragment that begins at a place; errNoMovie: none does, or it is not whole.
func fragmentAt(r io.ReaderAt, at, size int64) (fragment, error) {
	kind, header, length, err := boxAt(r, at, size)
	if err != nil && !cutOff(err) {
		return fragment{}, err
	}
	if err != nil || kind != "moof" || header != 8 || length > maxBox {
		return fragment{}, errNoMovie
	}
	moof, err := readBox(r, at+header, length-header)
	if err != nil {
		return fragment{}, err
	}
	until := fragmentTime(moof, ourClocks)
	kind, _, media, err := boxAt(r, at+length, size)
	if err != nil && !cutOff(err) {
		return fragment{}, err
	}
	if err != nil || kind != "mdat" || until <= 0 {
		return fragment{}, errNoMovie
	}
	return fragment{at, at + length + media, moof, until}, nil
}

// nextFragment finds the first whole fragment from a place on; errNoMovie: there is none.
func nextFragment(ctx context.Context, r io.ReaderAt, from, size int64) (fragment, error) {
	buf := make([]byte, copyBuffer)
	for at := from; at < size; {
		if err := ctx.Err(); err != nil {
			return fragment{}, err
		}
		n, err := r.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if err != nil && !cutOff(err) {
			return fragment{}, err
		}
		for i := 0; ; i++ {
			k := bytes.Index(buf[i:n], []byte("moof"))
			if k < 0 {
				break
			}
			i += k
			if at+int64(i)-4 < from {
				continue
			}
			f, err := fragmentAt(r, at+int64(i)-4, size)
			if err == nil || !errors.Is(err, errNoMovie) {
				return f, err
			}
		}
		if n < 8 || at+int64(n) >= size {
			break
		}
		at += int64(n) - 3 // the name may lie across the buffer's end
	}
	return fragment{}, errNoMovie
}

// cutOff tells that a file ends too early, from other errors of reading it.
func cutOff(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// headOf returns ftyp and moov if a film begins with them, or nil if its head is lost.
func headOf(r io.ReaderAt, size int64) ([]byte, error) {
	clocks := map[uint32]uint32{}
	for at := int64(0); at < size; {
		kind, header, length, err := boxAt(r, at, size)
		if cutOff(err) || err == nil && (length > maxBox || kind != "ftyp" && kind != "moov") {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		body, err := readBox(r, at+header, length-header)
		if err != nil {
			return nil, err
		}
		at += length
		if kind != "moov" {
			continue
		}
		trackClocks(body, clocks)
		if len(clocks) != len(ourClocks) {
			return nil, nil
		}
		return readBox(r, 0, at)
	}
	return nil, nil
}

// parameterSets are SPS and PPS of the pictures of a fragment, as an access unit in the format of Annex B; nil if they are not in
// it. They are in each key frame (ITU-T H.264 7.3.2.1, 7.3.2.2), whose units have their lengths before them here.
func (f fragment) parameterSets(r io.ReaderAt) ([]byte, error) {
	var out []byte
	var sps, pps bool
	for _, s := range videoSamples(f.moof) {
		if s.size > maxBox || s.at < 0 || f.start+s.at+s.size > f.end {
			return nil, nil
		}
		b, err := readBox(r, f.start+s.at, s.size)
		if err != nil {
			return nil, err
		}
		for len(b) > 4 {
			n := uint64(binary.BigEndian.Uint32(b))
			if n == 0 || n > uint64(len(b)-4) {
				break
			}
			switch unit := b[4 : 4+n]; unit[0] & 0x1f {
			case 7:
				sps, out = true, append(append(out, 0, 0, 0, 1), unit...)
			case 8:
				pps, out = true, append(append(out, 0, 0, 0, 1), unit...)
			}
			b = b[4+n:]
		}
		if sps && pps {
			return out, nil
		}
	}
	return nil, nil
}

// sample is where a picture lies, from the beginning of its fragment, in bytes.
type sample struct{ at, size int64 }

// videoSamples are the pictures of a moof.
func videoSamples(moof []byte) (list []sample) {
	boxes(moof, func(kind string, traf []byte) {
		if kind != "traf" {
			return
		}
		var id, usual uint32
		boxes(traf, func(kind string, body []byte) {
			switch kind {
			case "tfhd":
				id, _ = fragmentHeader(body)
				usual = usualSize(body)
			case "trun":
				if id == videoTrack+1 {
					list = append(list, runSamples(body, usual)...)
				}
			}
		})
	})
	return list
}
