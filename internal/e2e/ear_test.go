package e2e

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rendezvous/internal/sound"
)

// ear is a telephone of the test's own, which knows to the packet when it heard what. It speaks
// no more SIP than it takes to call, and PCMU.
type ear struct {
	t        *testing.T
	sip, rtp *net.UDPConn
	host     *net.UDPAddr
	from, to string // with tags
	call     string
	tone     float64 // Hz that it sends; 0: silence
	answered chan string
	stop     chan struct{}
	done     sync.WaitGroup

	mu     sync.Mutex // guards what follows
	heard  []heardPacket
	reason string // of the host's BYE
	ended  time.Time
}

type heardPacket struct {
	at  time.Time
	pcm [160]int16
}

// listen calls a room as a telephone and returns when the call is answered.
func listen(t *testing.T, h *host, user, room string, tone float64) *ear {
	t.Helper()
	open := func() *net.UDPConn {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	e := &ear{t: t, sip: open(), rtp: open(), host: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: h.sipPort}, tone: tone,
		call: fmt.Sprintf("%s-%d", user, time.Now().UnixNano()), answered: make(chan string, 1), stop: make(chan struct{})}
	e.from = fmt.Sprintf("<sip:%s@%s>;tag=ear", user, e.sip.LocalAddr())
	e.to = fmt.Sprintf("<sip:%s@127.0.0.1:%d>", room, h.sipPort)
	e.done.Go(e.signalling)
	t.Cleanup(e.close)
	port := e.rtp.LocalAddr().(*net.UDPAddr).Port
	e.request("INVITE", 1, fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 0\r\n", port))
	select {
	case sdp := <-e.answered:
		m := regexp.MustCompile(`m=audio (\d+)`).FindStringSubmatch(sdp)
		if m == nil {
			t.Fatalf("%s: the answer has no sound: %s", user, sdp)
		}
		to, _ := strconv.Atoi(m[1])
		e.done.Go(func() { e.speak(&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: to}) })
		e.done.Go(e.hear)
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: the call is not answered", user)
	}
	return e
}

func (e *ear) close() {
	select {
	case <-e.stop:
		return
	default:
	}
	e.mu.Lock()
	over := !e.ended.IsZero()
	e.mu.Unlock()
	if !over {
		e.request("BYE", 2, "")
	}
	close(e.stop)
	e.sip.Close()
	e.rtp.Close()
	e.done.Wait()
}

func (e *ear) request(method string, seq int, body string) {
	kind := ""
	if body != "" {
		kind = "Content-Type: application/sdp\r\n"
	}
	e.mu.Lock()
	to := e.to
	e.mu.Unlock()
	uri := strings.Trim(strings.SplitN(to, ">", 2)[0], "<>")
	text := fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%d\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\n"+
		"CSeq: %d %s\r\nContact: <sip:ear@%s>\r\n%sContent-Length: %d\r\n\r\n%s",
		method, uri, e.sip.LocalAddr(), strings.ToLower(method)+e.call, seq, e.from, to, e.call, seq, method, e.sip.LocalAddr(), kind, len(body), body)
	_, _ = e.sip.WriteToUDP([]byte(text), e.host) // a loss shows as a call that is not answered
}

var header = regexp.MustCompile(`(?mi)^(Via|From|To|Call-ID|CSeq|Reason):\s*(.*?)\r?$`)

// signalling answers the host until the socket is closed.
func (e *ear) signalling() {
	b := make([]byte, 65536)
	for {
		n, from, err := e.sip.ReadFromUDP(b)
		if err != nil {
			return
		}
		text := string(b[:n])
		fields, copied := map[string]string{}, ""
		for _, m := range header.FindAllStringSubmatch(text, -1) {
			fields[strings.ToLower(m[1])] = m[2]
			if m[1] != "Reason" {
				copied += m[0] + "\n"
			}
		}
		switch {
		case strings.HasPrefix(text, "SIP/2.0 200") && strings.HasSuffix(fields["cseq"], "INVITE"):
			e.mu.Lock()
			e.to = fields["to"]
			e.mu.Unlock()
			e.request("ACK", 1, "")
			select {
			case e.answered <- text:
			default:
			}
		case strings.HasPrefix(text, "SIP/2.0"):
			if c := text[8:11]; c[0] > '2' {
				e.t.Logf("the host answers %s", strings.SplitN(text, "\r\n", 2)[0])
			}
		case strings.HasPrefix(text, "ACK"):
		default:
			if strings.HasPrefix(text, "BYE") {
				e.mu.Lock()
				if e.ended.IsZero() {
					e.ended, e.reason = time.Now(), fields["reason"]
				}
				e.mu.Unlock()
			}
			_, _ = e.sip.WriteToUDP([]byte("SIP/2.0 200 OK\r\n"+strings.ReplaceAll(strings.ReplaceAll(copied, "\r", ""), "\n", "\r\n")+"Content-Length: 0\r\n\r\n"), from)
		}
	}
}

// speak sends the tone every 20 ms.
func (e *ear) speak(to *net.UDPAddr) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	b := make([]byte, 172)
	b[0], b[11] = 0x80, 1
	for n := 0; ; n++ {
		select {
		case <-e.stop:
			return
		case <-tick.C:
		}
		b[2], b[3] = byte(n>>8), byte(n)
		at := uint32(n * 160)
		b[4], b[5], b[6], b[7] = byte(at>>24), byte(at>>16), byte(at>>8), byte(at)
		for i, v := range sound.SineAt(8000, e.tone, 0.25, 160, n*160) {
			b[12+i] = sound.ULaw(v)
		}
		_, _ = e.rtp.WriteToUDP(b, to)
	}
}

// hear keeps what comes, with its time.
func (e *ear) hear() {
	b := make([]byte, 2048)
	for {
		n, err := e.rtp.Read(b)
		if err != nil {
			return
		}
		if n != 172 || b[1]&0x7f != 0 {
			continue
		}
		p := heardPacket{at: time.Now()}
		for i := range p.pcm {
			p.pcm[i] = sound.UnULaw(b[12+i])
		}
		e.mu.Lock()
		e.heard = append(e.heard, p)
		e.mu.Unlock()
	}
}

// there reports whether a tone is in a packet: above -42 dB.
func (p *heardPacket) there(hz float64) bool {
	return sound.Decibels(sound.Amplitude(p.pcm[:], hz, 8000)) > -42
}

// settled is how many packets a tone must be gone, or there, to count as that: 240 ms.
const settled = 12

// after returns how long after since the tones were gone (the last packet with one of them, 0 if there was
// none), or all there. It waits for that, and for settled more packets that agree.
func (e *ear) after(since time.Time, there bool, tones ...float64) (time.Duration, error) {
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		e.mu.Lock()
		heard := e.heard
		e.mu.Unlock()
		run := 0
		var changed time.Duration
		for i := range heard {
			p := &heard[i]
			if p.at.Before(since) {
				continue
			}
			agrees := true
			for _, hz := range tones {
				agrees = agrees && p.there(hz) == there
			}
			switch {
			case !agrees:
				run = 0
				if !there {
					changed = p.at.Sub(since)
				}
				continue
			case there && run == 0:
				changed = p.at.Sub(since)
			}
			if run++; run == settled {
				return changed, nil
			}
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("after 15 s it is not so that tones of %.0f Hz are there: %v", tones, there)
		}
	}
}

// never fails the test if a tone was heard since a time. What is spoken to it may have the tone's
// frequency in it for a moment.
func (e *ear) never(what string, since time.Time, hz float64) {
	e.t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	run, longest, total := 0, 0, 0
	for i := range e.heard {
		p := &e.heard[i]
		if p.at.Before(since) {
			continue
		}
		total++
		if run++; !p.there(hz) {
			run = 0
		}
		longest = max(longest, run)
	}
	if longest >= settled || total < settled {
		e.t.Errorf("%s: %d packets in a row, of %d, have the tone of %.0f Hz", what, longest, total, hz)
	}
}

// waitEnd waits for the host's BYE and returns its Reason.
func (e *ear) waitEnd(ctx context.Context) (reason string, at time.Time, err error) {
	for {
		e.mu.Lock()
		reason, at = e.reason, e.ended
		e.mu.Unlock()
		if !at.IsZero() {
			return reason, at, nil
		}
		select {
		case <-ctx.Done():
			return "", at, fmt.Errorf("the call is not ended: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// said is what was heard since a time, as the tests of sound take it.
func (e *ear) said(since time.Time) sound.Recording {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := sound.Recording{Rate: 8000}
	for _, p := range e.heard {
		if p.at.After(since) {
			for _, v := range p.pcm {
				s.PCM = append(s.PCM, float32(v)/32768)
			}
		}
	}
	return s
}
