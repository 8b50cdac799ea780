package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

func (c *Config) checkMedia() error {
	m := &c.Media
	width, height, err := Dimensions(m.Canvas)
	var errs []error
	if err != nil {
		errs = append(errs, fmt.Errorf("media.canvas: %w", err))
	}
	errs = append(errs, unless(len(m.Rungs) > 0 && len(m.Rungs) <= 8, "media.rungs: wants 1 to 8 qualities, not %d", len(m.Rungs)))
	for i, text := range m.Rungs {
		r, bad := ParseRung(text)
		if bad != nil {
			errs = append(errs, fmt.Errorf("media.rungs: %w", bad))
			continue
		}
		errs = append(errs, unless(err != nil || r.Width <= width && r.Height <= height, "media.rungs: %s is larger than media.canvas %s", text, m.Canvas))
		if i > 0 {
			above, bad := ParseRung(m.Rungs[i-1])
			errs = append(errs, unless(bad != nil || above.Bitrate >= r.Bitrate, "media.rungs: %s comes after %s; the best goes first", text, m.Rungs[i-1]))
		}
	}
	errs = append(errs, unless(voiceName.MatchString(m.Voice), "media.voice: %q is no voice of espeak-ng such as en or de", m.Voice))
	return errors.Join(errs...)
}

// Dimensions reads WIDTHxHEIGHT: even numbers of pixels. The error says what is wrong with text.
func Dimensions(text string) (width, height int, err error) {
	w, h, ok := strings.Cut(text, "x")
	width, errW := strconv.Atoi(w)
	height, errH := strconv.Atoi(h)
	if !ok || errW != nil || errH != nil {
		return 0, 0, fmt.Errorf("%q is no size such as 1280x720", text)
	}
	if width < 160 || width > 3840 || height < 90 || height > 2160 || width%2 != 0 || height%2 != 0 {
		return 0, 0, fmt.Errorf("%s: wants even numbers between 160x90 and 3840x2160", text)
	}
	return width, height, nil
}

// Rung is one quality of the picture.
type Rung struct {
	Width, Height, FPS int // pixels, frames per second
	Min, Bitrate, Max  int // bit/s
}

// ParseRung reads WIDTHxHEIGHT@FPS:BITRATE or WIDTHxHEIGHT@FPS:MIN-BITRATE-MAX, the bit rates with k or M:
// 640x360@30:600k. A bit rate alone may fall to its half and rise by as much. The error says what is wrong with text.
func ParseRung(text string) (Rung, error) {
	bad := fmt.Errorf("%q is no quality such as 640x360@30:600k", text)
	dims, rest, ok := strings.Cut(text, "@")
	fps, rates, ok2 := strings.Cut(rest, ":")
	if !ok || !ok2 {
		return Rung{}, bad
	}
	var r Rung
	var err error
	if r.Width, r.Height, err = Dimensions(dims); err != nil {
		return Rung{}, err
	}
	if r.FPS, err = strconv.Atoi(fps); err != nil || r.FPS < 1 || r.FPS > 60 {
		return Rung{}, bad
	}
	var each []int
	for rate := range strings.SplitSeq(rates, "-") {
		n, ok := bitrate(rate)
		if !ok {
			return Rung{}, fmt.Errorf("%q: wants a bit rate between 30k and 50M", text)
		}
		each = append(each, n)
	}
	switch {
	case len(each) == 1:
		r.Min, r.Bitrate, r.Max = each[0]/2, each[0], each[0]*3/2
	case len(each) == 3 && each[0] <= each[1] && each[1] <= each[2]:
		r.Min, r.Bitrate, r.Max = each[0], each[1], each[2]
	default:
		return Rung{}, fmt.Errorf("%q: wants one bit rate, or three that grow, such as 300k-600k-900k", text)
	}
	return r, nil
}

// bitrate reads a number of bit/s with k or M; false if there is none or it is no picture's.
func bitrate(text string) (int, bool) {
	factor := 1.0
	if n, found := strings.CutSuffix(text, "k"); found {
		text, factor = n, 1e3
	} else if n, found := strings.CutSuffix(text, "M"); found {
		text, factor = n, 1e6
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n*factor >= 30e3 && n*factor <= 50e6) {
		return 0, false
	}
	return int(n * factor), true
}
