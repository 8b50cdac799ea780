package e2e

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
)

// metric sums a metric of the running host over its labels.
func (h *host) metric(t *testing.T, name string) float64 {
	t.Helper()
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", h.admin))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	sum := 0.0
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		l := lines.Text()
		if !strings.HasPrefix(l, name+" ") && !strings.HasPrefix(l, name+"{") {
			continue
		}
		v, err := strconv.ParseFloat(l[strings.LastIndexByte(l, ' ')+1:], 64)
		if err != nil {
			t.Fatalf("metric %s: %v", l, err)
		}
		sum += v
	}
	return sum
}

// udpPorts are the UDP ports that a process of this network namespace listens on.
func udpPorts(t *testing.T) (ports []int) {
	t.Helper()
	for _, file := range []string{"/proc/net/udp", "/proc/net/udp6"} {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // no IPv6
		}
		for l := range strings.SplitSeq(string(b), "\n") {
			f := strings.Fields(l)
			if len(f) < 2 {
				continue
			}
			_, hex, ok := strings.Cut(f[1], ":")
			if p, err := strconv.ParseInt(hex, 16, 32); ok && err == nil && p >= 20000 && p < 21000 {
				ports = append(ports, int(p))
			}
		}
	}
	return ports
}

// garbage is what the attackers send: noise, noise that begins like a protocol, and real messages cut short.
func garbage(r *rand.Rand) []byte {
	heads := []string{"", "\x80\x6f", "\x90\x60", "\x81\xc8\x00\x06", "\x81\xce\xff\xff", "\x00\x01\x00\x08\x21\x12\xa4\x42", "\x16\xfe\xff\x00",
		"INVITE sip:main@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK", "SIP/2.0 200 OK\r\n", "BYE sip:a SIP/2.0\r\nContent-Length: -1\r\n\r\n",
		"INVITE sip:main@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:main@b>\r\nCall-ID: " +
			strconv.Itoa(r.IntN(1e9)) + "\r\nCSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.1:9>\r\nContent-Type: application/sdp\r\n\r\nv=0\r\nm=audio ",
		"GET /r/main HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n", "POST /whip/main HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"}
	b := []byte(heads[r.IntN(len(heads))])
	for range r.IntN(1200) {
		b = append(b, byte(r.Uint32()))
	}
	return b
}
