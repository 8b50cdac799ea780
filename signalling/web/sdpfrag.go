package web

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/pion/webrtc/v3"
)

// fragment is an application/trickle-ice-sdpfrag body (RFC 8840 section 9).
type fragment struct {
	ufrag, pwd string
	candidates []webrtc.ICECandidateInit
	complete   bool // a=end-of-candidates
}

var errFragment = errors.New("the ICE fragment is not understood")

// maxCandidates bounds what one fragment may bring.
const maxCandidates = 64

// parseFragment reads a fragment. Credentials may stand at session or media level;
// with bundling, the first ones count.
func parseFragment(body string) (fragment, error) {
	var f fragment
	line := -1
	mid := ""
	for l := range strings.SplitSeq(body, "\n") {
		l = strings.TrimSuffix(l, "\r")
		if l == "" {
			continue
		}
		kind, value, ok := strings.Cut(l, "=")
		if !ok || len(kind) != 1 {
			return f, fmt.Errorf("%w: %q", errFragment, clip(l, 80))
		}
		if kind == "m" {
			line++
			mid = ""
			continue
		}
		if kind != "a" {
			continue
		}
		key, value, _ := strings.Cut(value, ":")
		switch key {
		case "ice-ufrag":
			setDefault(&f.ufrag, value)
		case "ice-pwd":
			setDefault(&f.pwd, value)
		case "mid":
			mid = value
		case "end-of-candidates":
			f.complete = true
		case "candidate":
			if len(f.candidates) == maxCandidates {
				return f, fmt.Errorf("%w: more than %d candidates", errFragment, maxCandidates)
			}
			c := webrtc.ICECandidateInit{Candidate: "candidate:" + value}
			if mid != "" {
				m := mid
				c.SDPMid = &m
			} else if line >= 0 {
				n := uint16(line)
				c.SDPMLineIndex = &n
			}
			f.candidates = append(f.candidates, c)
		}
	}
	if (f.ufrag == "") != (f.pwd == "") || len(f.ufrag) > 256 || len(f.pwd) > 256 {
		return f, fmt.Errorf("%w: ICE credentials come in pairs", errFragment)
	}
	for _, s := range []string{f.ufrag, f.pwd} {
		for _, r := range s {
			// ice-char of RFC 8839 section 5.4
			if !strings.ContainsRune("+/", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
				return f, fmt.Errorf("%w: ICE credentials with %s", errFragment, strconv.QuoteRune(r))
			}
		}
	}
	return f, nil
}

// restartOffer is an offer with other ICE credentials and no candidates: what a WHIP
// client would have sent had it sent the whole offer again.
func restartOffer(offer, ufrag, pwd string) string {
	var out []string
	for l := range strings.SplitSeq(offer, "\n") {
		t := strings.TrimSuffix(l, "\r")
		switch {
		case strings.HasPrefix(t, "a=ice-ufrag:"):
			l = "a=ice-ufrag:" + ufrag + "\r"
		case strings.HasPrefix(t, "a=ice-pwd:"):
			l = "a=ice-pwd:" + pwd + "\r"
		case strings.HasPrefix(t, "a=candidate:"), t == "a=end-of-candidates":
			continue
		}
		out = append(out, l)
	}
	return strings.Join(out, "\n")
}

// answerFragment is the ICE part of an answer, in reply to a restart (RFC 9725 section 4.3.3).
func answerFragment(answer string) string {
	var out []string
	seen := map[string]bool{}
	media := false
	for l := range strings.SplitSeq(answer, "\n") {
		l = strings.TrimSuffix(l, "\r")
		switch {
		case strings.HasPrefix(l, "m="):
			if media {
				return strings.Join(out, "\r\n") + "\r\n" // bundled: the first m-line has it all
			}
			media = true
		case strings.HasPrefix(l, "a=ice-ufrag:"), strings.HasPrefix(l, "a=ice-pwd:"), strings.HasPrefix(l, "a=mid:"),
			strings.HasPrefix(l, "a=candidate:"), l == "a=end-of-candidates", l == "a=ice-lite":
		default:
			continue
		}
		if !seen[l] {
			seen[l] = true
			out = append(out, l)
		}
	}
	return strings.Join(out, "\r\n") + "\r\n"
}
