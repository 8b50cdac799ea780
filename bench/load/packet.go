package main

import "encoding/binary"

// Frames of sound are 20 ms long, in samples of RTP's clock for Opus (RFC 7587 section 4.1).
const frameSamples = 960

// Pictures come with every second frame, 25 a second, on RTP's clock of 90 kHz.
const (
	pictureFrames = 2
	pictureRate   = 25
	pictureTicks  = 90000 / pictureRate
)

// comfort is a frame of Opus in which there is nothing but comfort noise, as DTX sends it: a TOC byte and no sound
// (RFC 6716 section 3.1).
var comfort = []byte{0xf8, 0xff, 0xfe}

// stream is what a caller sends: RTP with one SSRC. It belongs to one goroutine.
type stream struct {
	ssrc    uint32
	payload uint8 // type
	level   uint8 // id of the audio level header extension (RFC 6464); 0: not agreed on
	seq     uint16
	time    uint32
}

// append appends the packet of the next frame to dst. loud is its level in -dBov, from 0 to 127; told: it is said in the
// header, if that is agreed on.
func (s *stream) append(dst, payload []byte, loud uint8, told bool) []byte {
	first := byte(0x80) // version 2
	if told = told && s.level != 0; told {
		first |= 0x10
	}
	dst = append(dst, first, s.payload)
	dst = binary.BigEndian.AppendUint16(dst, s.seq)
	dst = binary.BigEndian.AppendUint32(dst, s.time)
	dst = binary.BigEndian.AppendUint32(dst, s.ssrc)
	if told {
		dst = append(dst, 0xbe, 0xde, 0, 1, s.level<<4, loud, 0, 0) // one-byte headers (RFC 8285 section 4.2)
	}
	s.seq++
	s.time += frameSamples
	return append(dst, payload...)
}

// appendPart appends a packet of a picture to dst, and goes on to the next picture after the last one.
func (s *stream) appendPart(dst, payload []byte, last bool) []byte {
	second := s.payload
	if last {
		second |= 0x80 // marker
	}
	dst = append(dst, 0x80, second)
	dst = binary.BigEndian.AppendUint16(dst, s.seq)
	dst = binary.BigEndian.AppendUint32(dst, s.time)
	dst = binary.BigEndian.AppendUint32(dst, s.ssrc)
	s.seq++
	if last {
		s.time += pictureTicks
	}
	return append(dst, payload...)
}

// skip passes over a frame that is not sent.
func (s *stream) skip() { s.time += frameSamples }

// appendReport appends a receiver report (RFC 3550 section 6.4.2) about a stream of which nothing is lost and highest
// is the newest sequence number, with the cycles before it; without one if about is 0.
func (s *stream) appendReport(dst []byte, about, highest uint32) []byte {
	blocks, words := byte(0), byte(1)
	if about != 0 {
		blocks, words = 1, 7
	}
	dst = append(dst, 0x80|blocks, 201, 0, words)
	dst = binary.BigEndian.AppendUint32(dst, s.ssrc)
	if about == 0 {
		return dst
	}
	dst = binary.BigEndian.AppendUint32(dst, about)
	dst = binary.BigEndian.AppendUint32(dst, 0) // lost
	dst = binary.BigEndian.AppendUint32(dst, highest)
	return append(dst, make([]byte, 12)...) // jitter, and which sender report was the last: none
}

// kind is what a packet that shares its port with others is (RFC 7983 section 7, RFC 5761 section 4).
type kind uint8

const (
	isOther kind = iota
	isSTUN
	isDTLS
	isRTP
	isRTCP
)

func kindOf(b []byte) kind {
	switch {
	case len(b) < 12:
		return isOther
	case b[0] < 4:
		return isSTUN
	case b[0] >= 20 && b[0] < 64:
		return isDTLS
	case b[0]>>6 != 2:
		return isOther
	case b[1] >= 192 && b[1] < 224:
		return isRTCP
	}
	return isRTP
}

// received counts what has come of one stream. It belongs to one goroutine.
type received struct {
	packets, bytes, lost int64

	ssrc    uint32
	highest uint32 // sequence number with cycles
	begun   bool
}

// take counts a packet of RTP, with all its bytes; a stream with another SSRC begins anew.
func (r *received) take(b []byte, size int) {
	seq, ssrc := binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[8:])
	r.packets++
	r.bytes += int64(size)
	if !r.begun || ssrc != r.ssrc {
		r.begun, r.ssrc, r.highest = true, ssrc, uint32(seq)
		return
	}
	ahead := int16(seq - uint16(r.highest))
	if ahead <= 0 { // late, and counted as lost before
		r.lost--
		return
	}
	r.lost += int64(ahead - 1)
	r.highest += uint32(ahead)
}
