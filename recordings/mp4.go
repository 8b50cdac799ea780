package recordings

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// maxBox bounds the boxes that are read into memory: headers, never media.
const maxBox = 16 << 20

// scanMP4 finds how much of a fragmented MP4 (ISO/IEC 14496-12) is whole: the
// length up to and including the last fragment whose media is all there, and the time
// at which the longest track ends in it. errNoMovie: there is none, or nothing that says how to play it.
func scanMP4(r io.ReaderAt, size int64) (whole int64, duration time.Duration, err error) {
	clocks := map[uint32]uint32{} // track id -> ticks per second
	var fragmentEnd time.Duration
	inFragment := false
	for at := int64(0); at < size; {
		kind, header, length, err := boxAt(r, at, size)
		if cutOff(err) {
			break // the end, or what is no box
		}
		if err != nil {
			return 0, 0, err
		}
		switch kind {
		case "moov":
			body, err := readBox(r, at+header, length-header)
			if err != nil {
				return 0, 0, err
			}
			trackClocks(body, clocks)
		case "moof":
			body, err := readBox(r, at+header, length-header)
			if err != nil {
				return 0, 0, err
			}
			fragmentEnd, inFragment = fragmentTime(body, clocks), true
		case "mdat":
			if inFragment {
				duration, inFragment = max(duration, fragmentEnd), false
				whole = at + length
			}
		case "mfra": // the index that a finished file ends with
			if !inFragment {
				whole = at + length
			}
		}
		at += length
	}
	if whole == 0 || duration == 0 {
		return 0, 0, errNoMovie
	}
	return whole, duration, nil
}

// boxAt reads a box's header. A box that does not fit into the file is an error.
func boxAt(r io.ReaderAt, at, size int64) (kind string, header, length int64, err error) {
	var b [16]byte
	if _, err := r.ReadAt(b[:8], at); err != nil {
		return "", 0, 0, err
	}
	header, length = 8, int64(binary.BigEndian.Uint32(b[:4]))
	if length == 1 {
		if _, err := r.ReadAt(b[8:], at+8); err != nil {
			return "", 0, 0, err
		}
		large := binary.BigEndian.Uint64(b[8:])
		if large > uint64(size) {
			return "", 0, 0, io.ErrUnexpectedEOF
		}
		header, length = 16, int64(large)
	}
	if length < header || length > size-at {
		return "", 0, 0, io.ErrUnexpectedEOF
	}
	return string(b[4:8]), header, length, nil
}

func readBox(r io.ReaderAt, at, length int64) ([]byte, error) {
	if length > maxBox {
		return nil, damage(fmt.Sprintf("a header of %d bytes is in the film", length))
	}
	b := make([]byte, length)
	_, err := r.ReadAt(b, at)
	return b, err
}

// boxes calls f for each box in b; a damaged one ends it.
func boxes(b []byte, f func(kind string, body []byte)) {
	for len(b) >= 8 {
		length := uint64(binary.BigEndian.Uint32(b))
		if length < 8 || length > uint64(len(b)) {
			return
		}
		f(string(b[4:8]), b[8:length])
		b = b[length:]
	}
}

// trackClocks notes the time scale of each track (mdhd) by its id (tkhd).
func trackClocks(moov []byte, clocks map[uint32]uint32) {
	boxes(moov, func(kind string, trak []byte) {
		if kind != "trak" {
			return
		}
		var id, clock uint32
		boxes(trak, func(kind string, body []byte) {
			switch kind {
			case "tkhd":
				id = fieldAfterTimes(body)
			case "mdia":
				boxes(body, func(kind string, body []byte) {
					if kind == "mdhd" {
						clock = fieldAfterTimes(body)
					}
				})
			}
		})
		if id != 0 && clock != 0 {
			clocks[id] = clock
		}
	})
}

// fieldAfterTimes is the 32 bits after creation and modification time, which are 64
// bits each in version 1: the track's id in tkhd, the time scale in mdhd.
func fieldAfterTimes(body []byte) uint32 {
	at := 4 + 8
	if len(body) > 0 && body[0] == 1 {
		at = 4 + 16
	}
	if len(body) < at+4 {
		return 0
	}
	return binary.BigEndian.Uint32(body[at:])
}

// fragmentTime is when the longest track of a moof ends.
func fragmentTime(moof []byte, clocks map[uint32]uint32) time.Duration {
	var end time.Duration
	boxes(moof, func(kind string, traf []byte) {
		if kind != "traf" {
			return
		}
		var id, usual uint32
		var base, ticks uint64
		boxes(traf, func(kind string, body []byte) {
			switch kind {
			case "tfhd":
				id, usual = fragmentHeader(body)
			case "tfdt":
				base = decodeTime(body)
			case "trun":
				ticks += runTicks(body, usual)
			}
		})
		clock := uint64(clocks[id])
		if clock == 0 || base > 1<<48 || ticks > 1<<48 {
			return
		}
		total := base + ticks
		seconds := total / clock
		if seconds > 1<<31 {
			return
		}
		end = max(end, time.Duration(seconds)*time.Second+time.Duration(total%clock)*time.Second/time.Duration(clock))
	})
	return end
}

// fragmentHeader reads a tfhd: the track's id and the usual duration of its samples.
func fragmentHeader(body []byte) (id, usual uint32) {
	if len(body) < 8 {
		return 0, 0
	}
	flags := binary.BigEndian.Uint32(body) & 0xffffff
	id = binary.BigEndian.Uint32(body[4:])
	at := 8
	if flags&0x1 != 0 { // base data offset
		at += 8
	}
	if flags&0x2 != 0 { // sample description index
		at += 4
	}
	if flags&0x8 != 0 && len(body) >= at+4 {
		usual = binary.BigEndian.Uint32(body[at:])
	}
	return id, usual
}

// usualSize is what a tfhd says of the size of the samples that say nothing themselves.
func usualSize(body []byte) uint32 {
	if len(body) < 8 {
		return 0
	}
	flags := binary.BigEndian.Uint32(body) & 0xffffff
	at := 8
	for _, f := range []struct {
		flag uint32
		size int
	}{{0x1, 8}, {0x2, 4}, {0x8, 4}} { // base data offset, sample description index, duration
		if flags&f.flag != 0 {
			at += f.size
		}
	}
	if flags&0x10 == 0 || len(body) < at+4 {
		return 0
	}
	return binary.BigEndian.Uint32(body[at:])
}

// runSamples are the samples of a trun that says where its data begins.
func runSamples(body []byte, usual uint32) (list []sample) {
	if len(body) < 12 || body[3]&0x1 == 0 {
		return nil
	}
	flags := binary.BigEndian.Uint32(body) & 0xffffff
	place := int64(int32(binary.BigEndian.Uint32(body[8:])))
	at := 12
	if flags&0x4 != 0 { // the first sample's flags
		at += 4
	}
	each := 0
	for _, optional := range []uint32{0x100, 0x200, 0x400, 0x800} { // duration, size, flags, composition offset
		if flags&optional != 0 {
			each += 4
		}
	}
	for range min(binary.BigEndian.Uint32(body[4:]), maxSamples) {
		size := int64(usual)
		if flags&0x200 != 0 {
			i := at
			if flags&0x100 != 0 {
				i += 4
			}
			if len(body) < i+4 {
				break
			}
			size = int64(binary.BigEndian.Uint32(body[i:]))
		}
		list = append(list, sample{place, size})
		place += size
		at += each
	}
	return list
}

// maxSamples bounds the pictures that are looked at in one fragment.
const maxSamples = 1 << 16

func decodeTime(body []byte) uint64 {
	switch {
	case len(body) >= 12 && body[0] == 1:
		return binary.BigEndian.Uint64(body[4:])
	case len(body) >= 8 && body[0] == 0:
		return uint64(binary.BigEndian.Uint32(body[4:]))
	}
	return 0
}

// runTicks sums up the durations of a trun's samples.
func runTicks(body []byte, usual uint32) uint64 {
	if len(body) < 8 {
		return 0
	}
	flags := binary.BigEndian.Uint32(body) & 0xffffff
	count := uint64(binary.BigEndian.Uint32(body[4:]))
	at := 8
	for _, optional := range []uint32{0x1, 0x4} { // data offset, first sample's flags
		if flags&optional != 0 {
			at += 4
		}
	}
	if flags&0x100 == 0 { // no duration of their own
		return count * uint64(usual)
	}
	each := 4
	for _, optional := range []uint32{0x200, 0x400, 0x800} { // size, flags, composition offset
		if flags&optional != 0 {
			each += 4
		}
	}
	var sum uint64
	for range count {
		if len(body) < at+each {
			break
		}
		sum += uint64(binary.BigEndian.Uint32(body[at:]))
		at += each
	}
	return sum
}
