package prompts

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// wav is a mono 16 kHz IMA ADPCM recording.
type wav struct {
	data     []byte
	block    int // bytes
	perBlock int // samples
	samples  int
}

var errWAV = errors.New("not a 16 kHz mono IMA ADPCM file")

// parseWAV finds the format and data chunks of a RIFF file.
func parseWAV(b []byte) (wav, error) {
	var w wav
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return w, errWAV
	}
	for b = b[12:]; len(b) >= 8; {
		id, n := string(b[:4]), int(binary.LittleEndian.Uint32(b[4:]))
		b = b[8:]
		if n < 0 || n > len(b) {
			return w, fmt.Errorf("chunk %q is cut short", id)
		}
		chunk := b[:n]
		switch id {
		case "fmt ":
			if n < 20 || binary.LittleEndian.Uint16(chunk) != 0x11 || binary.LittleEndian.Uint16(chunk[2:]) != 1 ||
				binary.LittleEndian.Uint32(chunk[4:]) != 16000 {
				return w, errWAV
			}
			w.block = int(binary.LittleEndian.Uint16(chunk[12:]))
			w.perBlock = int(binary.LittleEndian.Uint16(chunk[18:]))
		case "fact":
			if n >= 4 {
				w.samples = int(binary.LittleEndian.Uint32(chunk))
			}
		case "data":
			w.data = chunk
		}
		b = b[min(n+n&1, len(b)):]
	}
	if w.block < 5 || w.perBlock != (w.block-4)*2+1 || w.data == nil {
		return w, errWAV
	}
	return w, nil
}

var imaIndex = [16]int{-1, -1, -1, -1, 2, 4, 6, 8, -1, -1, -1, -1, 2, 4, 6, 8}

var imaStep = [89]int{
	7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97,
	107, 118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796,
	876, 963, 1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871,
	5358, 5894, 6484, 7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623,
	27086, 29794, 32767,
}

// decode returns the recording at 16 kHz.
func (w wav) decode() []int16 {
	var out []int16
	for data := w.data; len(data) >= 4; {
		block := data[:min(w.block, len(data))]
		data = data[len(block):]
		value := int(int16(binary.LittleEndian.Uint16(block)))
		index := min(int(block[2]), len(imaStep)-1)
		out = append(out, int16(value))
		for _, b := range block[4:] {
			for _, code := range [2]byte{b & 15, b >> 4} {
				step := imaStep[index]
				diff := step >> 3
				if code&4 != 0 {
					diff += step
				}
				if code&2 != 0 {
					diff += step >> 1
				}
				if code&1 != 0 {
					diff += step >> 2
				}
				if code&8 != 0 {
					diff = -diff
				}
				value = max(-32768, min(32767, value+diff))
				index = max(0, min(len(imaStep)-1, index+imaIndex[code]))
				out = append(out, int16(value))
			}
		}
	}
	if w.samples > 0 && w.samples < len(out) {
		out = out[:w.samples]
	}
	return out
}
