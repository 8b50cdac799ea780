package e2e

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"rendezvous/dht"
	"rendezvous/dht/dhttest"
	"rendezvous/dht/wire"
	"rendezvous/internal/lab/browser"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/internal/lab/phone"
	"rendezvous/internal/sound"
)

// envStrangers is how long TestStrangersHarmNobody attacks; `make soak` asks for long.
const envStrangers = "RENDEZVOUS_E2E_STRANGERS"

// shortAttack is how long it takes to fill the room, and all places that unconfirmed calls get.
const shortAttack = 8 * time.Second

// attackFor is how long the meeting is attacked.
func attackFor(t *testing.T) time.Duration {
	text := cmp.Or(os.Getenv(envStrangers), shortAttack.String())
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", envStrangers, err)
	}
	return d
}

// Where the host of that test is found by Jami's network.
const dhtPort, jamiPort = 4711, 4712

// strangers attack every door at once until ctx ends: with noise, and with what is well-formed and costs the host most.
type strangers struct {
	h     *host
	jami  string    // the room's id
	node  *dht.Node // the strangers' own
	tried sync.Map  // what: *atomic.Int64
	wg    sync.WaitGroup
}

func (s *strangers) count(what string) {
	n, _ := s.tried.LoadOrStore(what, new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
}

// every has a goroutine do something again and again.
func (s *strangers) every(ctx context.Context, pause time.Duration, what string, do func(n int) error) {
	s.wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			if do(n) == nil {
				s.count(what)
			}
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
		}
	})
}

func (s *strangers) String() string {
	var parts []string
	s.tried.Range(func(what, n any) bool {
		parts = append(parts, fmt.Sprintf("%d %s", n.(*atomic.Int64).Load(), what))
		return true
	})
	return strings.Join(parts, ", ")
}

// udp sends one datagram from an address of this machine, which nobody else in the test has.
func udp(from string, port int, b []byte) error {
	c, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.ParseIP(from)}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write(b)
	return err
}

// invite is a call that nobody will confirm.
func invite(from string, n int) []byte {
	body := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.3\r\nt=0 0\r\nm=audio 41000 RTP/AVP 0\r\n"
	return fmt.Appendf(nil, "INVITE sip:main@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP %[1]s:5;branch=z9hG4bK%[2]d\r\nFrom: <sip:x%[2]d@%[1]s>;tag=%[2]d\r\n"+
		"To: <sip:main@127.0.0.1>\r\nCall-ID: stranger%[2]d\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:x@%[1]s:5>\r\n"+
		"Content-Type: application/sdp\r\nContent-Length: %[3]d\r\n\r\n%[4]s", from, n, len(body), body)
}

// offer is a description whose candidates are 400 ports of somebody's.
func offer() string {
	b := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n" +
		"a=sendonly\r\na=rtcp-mux\r\na=ice-ufrag:abcd\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\na=fingerprint:sha-256 " +
		strings.TrimSuffix(strings.Repeat("AB:", 32), ":") + "\r\na=setup:actpass\r\na=rtpmap:111 opus/48000/2\r\n"
	for i := range 400 {
		b += fmt.Sprintf("a=candidate:%d 1 udp %d 127.0.0.4 %d typ host\r\n", i, 2130706431-i, 42000+i)
	}
	return b
}

// begin starts the attacks; ports are those that UDP is listened at.
func (s *strangers) begin(ctx context.Context, ports []int) {
	noise := rand.New(rand.NewPCG(1, 2))
	s.every(ctx, time.Millisecond, "datagrams of noise", func(int) error {
		return udp("127.0.0.88", ports[noise.IntN(len(ports))], garbage(noise))
	})
	for i, port := range []int{s.h.sipPort, s.h.webPort, jamiPort} {
		noise := rand.New(rand.NewPCG(3, uint64(i)))
		s.every(ctx, 5*time.Millisecond, "connections of noise", func(int) error {
			c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
			if err != nil {
				return err
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(time.Second))
			if noise.IntN(3) == 0 {
				defer io.CopyN(io.Discard, c, 64)
			}
			_, err = c.Write(garbage(noise))
			return err
		})
	}
	source := func(n int) string { return fmt.Sprintf("127.1.%d.%d", n/250%10, 1+n%250) }
	s.every(ctx, 20*time.Millisecond, "calls", func(n int) error { return udp(source(n), s.h.sipPort, invite(source(n), n)) })
	s.every(ctx, 10*time.Millisecond, "RTP packets", func(n int) error {
		b := []byte{0x80, 0, 0, byte(n / 500), 0, 0, 0, 1, 0xba, 0xd0, 0, 1}
		return udp("127.0.0.66", 20000+2*(n%500), append(b, bytes.Repeat([]byte{0x55}, 160)...))
	})
	s.every(ctx, 2*time.Millisecond, "requests of the DHT", func(n int) error { // for the largest answers, from forged addresses
		from := fmt.Sprintf("127.2.%d.%d", n/250%250, 1+n%250)
		get := wire.Message{Kind: wire.Request, Method: wire.Get, ID: key("node", n%5000), TID: uint32(n), Target: dht.KeyOfText("inbox:" + s.jami)}
		return udp(from, dhtPort, get.Append(nil))
	})
	s.every(ctx, 20*time.Millisecond, "values for the account", func(n int) error { // that it is told of, and cannot be anything to it
		v := &dht.Value{ID: uint64(n + 1), Type: 3, Data: garbage(noise)}
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return s.node.Put(ctx, dht.KeyOfText("inbox:"+s.jami), v)
	})
	stun := binary.BigEndian.AppendUint16([]byte{1, 1}, 1260)
	stun = append(stun, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x80, 0x22, 1252>>8, 1252&255)
	stun = append(append(stun, make([]byte, 1252)...), 0, 0x20, 0, 0)
	s.every(ctx, 5*time.Millisecond, "STUN messages", func(int) error { return udp("127.0.0.77", s.h.webPort, stun) })
	s.every(ctx, 100*time.Millisecond, "TCP connections", func(int) error { // that say nothing more; they end with the test
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.h.sipPort))
		if err != nil {
			return err
		}
		context.AfterFunc(ctx, func() { c.Close() })
		_, err = c.Write([]byte("\r\n\r\n"))
		return err
	})
	s.every(ctx, 150*time.Millisecond, "pages without media", func(int) error {
		return s.page(ctx, `{"type":"join","room":"main","name":"stranger"}`)
	})
	s.every(ctx, time.Second, "offers", func(int) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.web("http")+"/whip/main", strings.NewReader(offer()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/sdp")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			return fmt.Errorf("answered %s", resp.Status)
		}
		return nil
	})
}

// web is where the browsers' door is.
func (s *strangers) web(scheme string) string {
	return fmt.Sprintf("%s://127.0.0.1:%d", scheme, s.h.webPort)
}

// key is one of many places in the DHT.
func key(what string, n int) (k dht.Key) {
	sum := sha256.Sum256(fmt.Append(nil, what, n))
	copy(k[:], sum[:])
	return k
}

// page opens a page's connection with one message, and leaves it until ctx ends.
func (s *strangers) page(ctx context.Context, message string) error {
	c, _, err := websocket.Dial(ctx, s.web("ws")+"/ws", nil)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { c.CloseNow() })
	s.wg.Go(func() {
		for {
			if _, _, err := c.Read(ctx); err != nil {
				return
			}
		}
	})
	return c.Write(ctx, websocket.MessageText, []byte(message))
}

// names are those who are in the room.
func (h *host) names(t *testing.T) (names []string) {
	t.Helper()
	out, err := h.ask("participants", "main", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, p := range list {
		names = append(names, p.Name)
	}
	return names
}

// While strangers attack every door with all that costs the host most, those in the meeting hear each other without a
// gap and keep their seats, and somebody new finds one. After a long attack the host holds no more than before.
func TestStrangersHarmNobody(t *testing.T) {
	lasting := attackFor(t)
	jamilab.Run(t, jamilab.Options{Peers: 1, Sound: true, Alone: true, Life: lasting + 10*time.Minute}, func(t *testing.T, l *jamilab.Lab) {
		h := startHost(t, "RENDEZVOUS_JAMI_ENABLED=true", "RENDEZVOUS_JAMI_BOOTSTRAP="+jamilab.Bootstrap, "RENDEZVOUS_JAMI_STUN=",
			fmt.Sprintf("RENDEZVOUS_JAMI_DHT_PORT=%d", dhtPort), fmt.Sprintf("RENDEZVOUS_JAMI_TCP_PORT=%d", jamiPort))
		ctx, cancel := context.WithTimeout(context.Background(), lasting+5*time.Minute)
		defer cancel()
		s := &strangers{h: h, jami: h.jamiID(t), node: dhttest.Start(t, dht.Config{IPv4: "0.0.0.0:0", Bootstrap: []string{jamilab.Bootstrap}})}
		if err := s.node.WaitConnected(ctx); err != nil {
			t.Fatal(err)
		}
		ann, err := browser.Start(ctx, browser.Options{Color: red, Tone: toneA})
		if err != nil {
			t.Fatal(err)
		}
		defer ann.Close()
		ben, err := browser.Start(ctx, browser.Options{Color: blue, Tone: toneB})
		if err != nil {
			t.Fatal(err)
		}
		defer ben.Close()
		carl, err := phone.Start(ctx, phone.Config{User: "carl", Name: "Carl", Tone: tonePhone, Talks: lasting + 3*time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		defer carl.Close()
		if err := jamilab.Accounts(ctx, l.Peers()...); err != nil {
			t.Fatal(err)
		}
		dora := &daemon{Peer: l.Peer(1), tone: 500, talks: lasting + 3*time.Minute}
		dora.speak(t, ctx, l, t.TempDir())
		if err := ann.Join(h.url(), "Ann", ""); err != nil {
			t.Fatal(err)
		}
		if err := carl.Dial(ctx, h.sip()); err != nil {
			t.Fatal(err)
		}
		if dora.call, err = dora.PlaceCall(ctx, s.jami, jamilab.Media(nil)); err != nil {
			t.Fatal(err)
		}
		if err := dora.WaitCall(ctx, dora.call, "CURRENT"); err != nil {
			t.Fatal(err)
		}
		if err := ann.WaitPeople(3, 30*time.Second); err != nil {
			t.Fatal(err)
		}
		checkHears(t, "Ann before", ann, toneA, tonePhone, dora.tone)
		before := h.holds(t)

		attack, stop := context.WithCancel(ctx)
		defer stop()
		s.begin(attack, append(udpPorts(t), h.sipPort, h.webPort, dhtPort))
		var heard sound.Recording
		for end := time.Now().Add(lasting); ; {
			select {
			case <-time.After(min(8*time.Second, time.Until(end))):
			case <-ctx.Done():
			}
			if heard, err = ann.Listen(browser.Stage, 4*time.Second); err != nil {
				t.Fatal(err)
			}
			checkUnbroken(t, heard, tonePhone)
			if time.Now().After(end) {
				break
			}
		}
		if err := ben.Join(h.url(), "Ben", ""); err != nil {
			t.Errorf("somebody new finds no seat: %v", err)
		}
		checkHears(t, "Ann during the attack", ann, toneA, tonePhone, toneB)
		here := strings.Join(h.names(t), " ")
		for _, name := range []string{"Ann", "Carl", "Ben", dora.Name()} {
			if !strings.Contains(here, name) {
				t.Errorf("%s has lost their seat: in the room are %s", name, here)
			}
		}
		stop()
		s.wg.Wait()
		t.Log("tried: ", s)
		// The daemon's sound device stutters while the attackers, on the same machine, need its processors: so it is asked now whether its call goes on.
		checkHears(t, "Ann after the attack", ann, toneA, tonePhone, toneB, dora.tone)
		checkSound(t, "Dora after the attack", dora.tone, []float64{toneA, tonePhone, toneB}, func() (sound.Recording, error) { return dora.hear(ctx, l, t.TempDir(), 4) })
		for _, what := range []string{"datagrams of noise", "connections of noise", "calls", "RTP packets", "requests of the DHT", "values for the account",
			"STUN messages", "TCP connections", "pages without media", "offers"} {
			if _, ok := s.tried.Load(what); !ok {
				t.Errorf("no %s: the attack did not take place", what)
			}
		}
		if n := h.metric(t, "rendezvous_web_stun_malformed_total"); n == 0 {
			t.Error("no STUN message was dropped")
		}
		after := h.holds(t)
		if lasting > shortAttack { // what strangers began ends half a minute later, for which the short test does not wait
			after = h.waitHolds(t, before)
		}
		t.Logf("the host held %v, afterwards %v", before, after)
		if after.memory > before.memory+300e6 { // a full room of connections, and what half a minute holds of those that have gone
			t.Errorf("memory grew from %.0f to %.0f MB", before.memory/1e6, after.memory/1e6)
		}
	})
}

// checkUnbroken fails the test if what was heard has a gap, or lacks a tone.
func checkUnbroken(t *testing.T, heard sound.Recording, tone float64) {
	t.Helper()
	gaps, window := 0, heard.Rate/25
	for at := 0; at+window <= len(heard.PCM); at += window {
		if (sound.Recording{PCM: heard.PCM[at : at+window], Rate: heard.Rate}).Loudness() < -40 {
			gaps++
		}
	}
	if gaps > 1 || heard.Level(tone) < heardAbove {
		t.Errorf("the meeting's sound suffered: %d stretches of 40 ms silent, %.1f dB", gaps, heard.Level(tone))
	}
}

// holding is what a host has of the system.
type holding struct{ files, goroutines, memory float64 }

func (h holding) String() string {
	return fmt.Sprintf("%.0f files and sockets, %.0f goroutines, %.0f MB", h.files, h.goroutines, h.memory/1e6)
}

func (h *host) holds(t *testing.T) holding {
	t.Helper()
	return holding{h.metric(t, "process_open_fds"), h.metric(t, "go_goroutines"), h.metric(t, "process_resident_memory_bytes")}
}

// waitHolds waits until sockets and goroutines are as before, but for those of one more caller.
func (h *host) waitHolds(t *testing.T, before holding) (now holding) {
	t.Helper()
	const files, goroutines = 20, 60
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if now = h.holds(t); now.files <= before.files+files && now.goroutines <= before.goroutines+goroutines {
			return now
		}
		if time.Now().After(end) {
			t.Errorf("a minute after the attack the host holds %v; before it were %v", now, before)
			return now
		}
	}
}
