package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// levelURI is the client-to-mixer audio level (RFC 6464).
const levelURI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

// offer is what a caller asks for: sound, or to watch.
type offer struct {
	ufrag, pwd  string
	fingerprint string // of the certificate, as in SDP
	address     netip.AddrPort
	ssrc        uint32
	media       string // "audio" or "video"
	direction   string // "sendrecv", "recvonly"
	levels      bool   // offers to tell them
}

// String is the offer in SDP, as a browser's is, with one line of media.
func (o offer) String() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("v=0\r\no=- %d 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=msid-semantic: WMS load", o.ssrc)
	payload := 111
	if o.media == "video" {
		payload = 108
	}
	line("m=%s 9 UDP/TLS/RTP/SAVPF %d\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0", o.media, payload)
	line("a=candidate:1 1 udp 2130706431 %s %d typ host", o.address.Addr(), o.address.Port())
	line("a=end-of-candidates")
	line("a=ice-ufrag:%s\r\na=ice-pwd:%s", o.ufrag, o.pwd)
	line("a=fingerprint:sha-256 %s\r\na=setup:actpass\r\na=mid:0", o.fingerprint)
	if o.levels {
		line("a=extmap:1 %s", levelURI)
	}
	line("a=%s\r\na=rtcp-mux", o.direction)
	if o.media == "video" {
		line("a=rtpmap:108 H264/90000\r\na=rtcp-fb:108 nack pli")
		line("a=fmtp:108 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
	} else {
		line("a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1")
	}
	if o.direction == "sendrecv" {
		line("a=msid:load sound\r\na=ssrc:%d cname:load\r\na=ssrc:%d msid:load sound", o.ssrc, o.ssrc)
	}
	return b.String()
}

// answer is what a caller needs of a host's session description.
type answer struct {
	ufrag, pwd  string
	fingerprint []byte // SHA-256 of the certificate
	client      bool   // the host begins the DTLS handshake
	payload     uint8  // type of Opus, or of H.264
	level       uint8  // id of the audio level header extension, 0 if it is not agreed on
	candidates  []netip.AddrPort
}

// parseAnswer reads an answer with one line of media. It fails if there is nothing in it by which one could connect.
func parseAnswer(text string) (a answer, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if rest, ok := strings.CutPrefix(line, "m="); ok {
			f := strings.Fields(rest)
			if len(f) < 4 || f[1] == "0" {
				return a, fmt.Errorf("the media was refused: %s", line)
			}
			n, err := strconv.ParseUint(f[3], 10, 7)
			if err != nil {
				return a, fmt.Errorf("payload type: %w", err)
			}
			a.payload = uint8(n)
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		switch key {
		case "a=ice-ufrag":
			a.ufrag = value
		case "a=ice-pwd":
			a.pwd = value
		case "a=setup":
			a.client = value == "active"
		case "a=fingerprint":
			if algorithm, sum, _ := strings.Cut(value, " "); strings.EqualFold(algorithm, "sha-256") {
				if a.fingerprint, err = hex.DecodeString(strings.ReplaceAll(sum, ":", "")); err != nil {
					return a, fmt.Errorf("fingerprint: %w", err)
				}
			}
		case "a=extmap":
			if id, uri, _ := strings.Cut(value, " "); uri == levelURI {
				id, _, _ = strings.Cut(id, "/") // a direction
				n, err := strconv.ParseUint(id, 10, 4)
				if err != nil {
					return a, fmt.Errorf("header extension: %w", err)
				}
				a.level = uint8(n)
			}
		case "a=candidate":
			if at, ok := hostCandidate(value); ok {
				a.candidates = append(a.candidates, at)
			}
		}
	}
	switch {
	case a.ufrag == "" || a.pwd == "":
		return a, errors.New("the answer has no ICE credentials")
	case len(a.fingerprint) == 0:
		return a, errors.New("the answer has no SHA-256 fingerprint")
	case len(a.candidates) == 0:
		return a, errors.New("the answer has no candidate for IPv4 over UDP")
	}
	return a, nil
}

// hostCandidate is the address of a host candidate of RTP over UDP and IPv4 (RFC 8839 section 5.1).
func hostCandidate(value string) (at netip.AddrPort, ok bool) {
	f := strings.Fields(value) // foundation component transport priority address port typ …
	if len(f) < 8 || f[1] != "1" || !strings.EqualFold(f[2], "udp") || f[6] != "typ" || f[7] != "host" {
		return at, false
	}
	ip, err := netip.ParseAddr(f[4])
	if err != nil || !ip.Is4() {
		return at, false
	}
	port, err := strconv.ParseUint(f[5], 10, 16)
	return netip.AddrPortFrom(ip, uint16(port)), err == nil && port != 0
}

// nearest is the candidate that a caller on this machine takes: on loopback, if there is one.
func (a answer) nearest() netip.AddrPort {
	for _, c := range a.candidates {
		if c.Addr().IsLoopback() {
			return c
		}
	}
	return a.candidates[0]
}
