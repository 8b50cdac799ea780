package codec

import "encoding/binary"

// Sign is what a payload tells of its sound without being decoded.
type Sign uint8

const (
	// Mute: nothing can be told; only a decoder knows.
	Mute Sign = iota
	// Active: the encoder found a voice, a pitch or a sudden change.
	Active
	// Calm: nothing of that, by an encoder that does not look for voices. A voice that is hardly louder than what is around it
	// has been seen to go on like this for 200 ms.
	Calm
	// Quiet: the encoder looked for a voice and found none.
	Quiet
)

// Look reads the sign of a payload, from the first bits of Opus's frames; other codecs are Mute, and so is what is malformed. It costs nanoseconds.
func Look(name string, payload []byte) Sign {
	if k, _ := kindOf(name); k != kindOpus {
		return Mute
	}
	return lookAtOpus(payload)
}

// lookAtOpus gives the sign of the most active frame of a packet (RFC 6716 section 3.2).
func lookAtOpus(p []byte) Sign {
	if opusSamples(p) == 0 {
		return Mute
	}
	toc, rest := p[0], p[1:]
	switch toc & 3 {
	case 0:
		return lookAtFrame(toc, rest)
	case 1:
		half := len(rest) / 2
		return min(lookAtFrame(toc, rest[:half]), lookAtFrame(toc, rest[half:]))
	case 2:
		n, rest, ok := frameLength(rest)
		if !ok || n > len(rest) {
			return Mute
		}
		return min(lookAtFrame(toc, rest[:n]), lookAtFrame(toc, rest[n:]))
	}
	return lookAtMany(toc, rest)
}

// lookAtMany gives the sign of any number of frames (RFC 6716 section 3.2.5).
func lookAtMany(toc byte, p []byte) Sign {
	head, p := p[0], p[1:]
	frames := int(head & 0x3f)
	if head&0x40 != 0 {
		padding := 0
		for more := true; more; {
			if len(p) == 0 {
				return Mute
			}
			n := int(p[0])
			p = p[1:]
			if more = n == 255; more {
				n = 254
			}
			padding += n
		}
		if padding > len(p) {
			return Mute
		}
		p = p[:len(p)-padding]
	}
	if frames == 0 {
		return Mute
	}
	sign := Quiet
	if head&0x80 == 0 {
		n := len(p) / frames
		for i := range frames {
			sign = min(sign, lookAtFrame(toc, p[i*n:(i+1)*n]))
		}
		return sign
	}
	var lengths [48]int // 120 ms of 2.5 ms
	last := 0
	for i := range frames - 1 {
		n, rest, ok := frameLength(p)
		if !ok {
			return Mute
		}
		lengths[i], p, last = n, rest, last+n
	}
	if lengths[frames-1] = len(p) - last; last > len(p) {
		return Mute
	}
	for _, n := range lengths[:frames] {
		sign = min(sign, lookAtFrame(toc, p[:n]))
		p = p[n:]
	}
	return sign
}

// frameLength reads a frame's length (RFC 6716 section 3.2.1).
func frameLength(p []byte) (n int, rest []byte, ok bool) {
	switch {
	case len(p) == 0, p[0] >= 252 && len(p) < 2:
		return 0, nil, false
	case p[0] < 252:
		return int(p[0]), p[1:], true
	}
	return int(p[0]) + 4*int(p[1]), p[2:], true
}

func lookAtFrame(toc byte, frame []byte) Sign {
	if len(frame) <= 1 {
		return Quiet // left out
	}
	if toc>>3 < 16 {
		// SILK: of each channel the encoder's verdict on each 20 ms, and whether copies of earlier frames follow, which are only
		// made of voices (RFC 6716 sections 4.2.3, 4.2.4). All of them are as likely as not: the first bits as they are.
		n := max(1, opusFrameSamples(toc)/960) + 1
		if toc&4 != 0 {
			n *= 2
		}
		if frame[0]>>(8-n) != 0 {
			return Active
		}
		return Quiet
	}
	return lookAtCELT(toc, frame)
}

// lookAtCELT reads the flags that a CELT frame begins with (RFC 6716 section 4.3): silence; a post-filter, which is made for a
// pitch; a transient; energies that are not told by their change. They use up so little of the range decoder's first 31 bits (section 4.1.1)
// that no further ones are needed.
func lookAtCELT(toc byte, frame []byte) Sign {
	var first [4]byte
	copy(first[:], frame)
	value, size := ^binary.BigEndian.Uint32(first[:])>>1, uint32(1)<<31
	// flag reads a bit that is set once in 1<<rarity times (section 4.1.3.2).
	flag := func(rarity int) bool {
		part := size >> rarity
		if value < part {
			size = part
			return true
		}
		value -= part
		size -= part
		return false
	}
	switch {
	case flag(15):
		return Quiet
	case flag(1), toc>>3&3 > 0 && flag(3), flag(3): // frames of 2.5 ms have no transients
		return Active
	}
	return Calm
}
