package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rendezvous/internal/lab/browser"
	"rendezvous/internal/lab/phone"
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

// Noise on every port of a running host for a while: it stays up, does not grow, and those in
// the meeting hear each other without a gap.
func TestGarbageHarmsNobody(t *testing.T) {
	h := startHost(t)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	ann, err := browser.Start(ctx, browser.Options{Color: red, Tone: toneA})
	if err != nil {
		t.Fatal(err)
	}
	defer ann.Close()
	carl, err := phone.Start(ctx, phone.Config{User: "carl", Name: "Carl", Tone: tonePhone})
	if err != nil {
		t.Fatal(err)
	}
	defer carl.Close()
	if err := ann.Join(h.url(), "Ann", ""); err != nil {
		t.Fatal(err)
	}
	if err := carl.Dial(ctx, h.sip()); err != nil {
		t.Fatal(err)
	}
	if err := ann.WaitPeople(2, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	checkHears(t, "Ann before", ann, toneA, tonePhone)
	memory := h.metric(t, "process_resident_memory_bytes")
	routines := h.metric(t, "go_goroutines")

	attack, stop := context.WithTimeout(ctx, 12*time.Second)
	defer stop()
	var attackers sync.WaitGroup
	sent := make([]int, 4)
	targets := append(udpPorts(t), h.sipPort, h.webPort)
	attackers.Go(func() {
		r := rand.New(rand.NewPCG(1, 2))
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		for attack.Err() == nil {
			to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: targets[r.IntN(len(targets))]}
			if _, err := conn.WriteTo(garbage(r), to); err == nil {
				sent[0]++
			}
			time.Sleep(300 * time.Microsecond) // some thousands a second, and something left for the host
		}
	})
	for i, port := range []int{h.sipPort, h.webPort} {
		attackers.Go(func() {
			r := rand.New(rand.NewPCG(3, uint64(i)))
			for attack.Err() == nil {
				c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
				if err != nil {
					continue
				}
				c.SetDeadline(time.Now().Add(time.Second))
				if _, err := c.Write(garbage(r)); err == nil {
					sent[1+i]++
				}
				if r.IntN(3) == 0 {
					io.CopyN(io.Discard, c, 64)
				}
				c.Close()
				time.Sleep(3 * time.Millisecond)
			}
		})
	}
	during := make(chan browser.Sound, 1)
	attackers.Go(func() {
		s, err := ann.Listen(browser.Stage, 8*time.Second)
		if err != nil {
			t.Error(err)
		}
		during <- s
	})
	attackers.Wait()
	s := <-during
	gaps := 0
	window := s.Rate / 25
	for at := 0; at+window <= len(s.PCM); at += window {
		if (browser.Sound{PCM: s.PCM[at : at+window], Rate: s.Rate}).Loudness() < -40 {
			gaps++
		}
	}
	t.Logf("sent %d datagrams, %d SIP and %d HTTP connections; %d of %d stretches of 40 ms silent; tone %.1f dB",
		sent[0], sent[1], sent[2], gaps, len(s.PCM)/max(1, window), s.Level(tonePhone))
	if gaps > 2 || s.Level(tonePhone) < heardAbove {
		t.Errorf("the meeting's sound suffered: %d gaps, %.1f dB", gaps, s.Level(tonePhone))
	}
	checkHears(t, "Ann after", ann, toneA, tonePhone)
	after := h.metric(t, "process_resident_memory_bytes")
	t.Logf("memory %.0f MB before, %.0f MB after; %.0f goroutines before, %.0f after; ticks caught up %.0f, left out %.0f",
		memory/1e6, after/1e6, routines, h.metric(t, "go_goroutines"), h.metric(t, "rendezvous_audio_ticks_caught_up_total"),
		h.metric(t, "rendezvous_audio_ticks_skipped_total"))
	if after > memory+150e6 {
		t.Errorf("memory grew from %.0f to %.0f MB", memory/1e6, after/1e6)
	}
}
