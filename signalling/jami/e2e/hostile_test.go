package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"rendezvous/dht/value"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/account/accounttest"
	"rendezvous/signalling/jami/connection"
)

// attacker is a device with an account and a certificate in order that says bad things.
type attacker struct {
	t       *testing.T
	ctx     context.Context
	account *account.Account
	room    value.Key
	n       int
}

func newAttacker(t *testing.T, ctx context.Context, room string) *attacker {
	t.Helper()
	a := accounttest.NewHost(t, ":0", jamilab.Bootstrap).Open(t, account.Config{DisplayName: "Mallory"})
	a.OnSIPChannel(func(_ connection.Peer, ch net.Conn) { ch.Close() })
	if err := a.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return &attacker{t: t, ctx: ctx, account: a, room: accounttest.Key(t, room)}
}

// channel opens a new SIP channel to the room.
func (a *attacker) channel() net.Conn {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.ctx, 30*time.Second)
	defer cancel()
	for device, err := range a.account.Devices(ctx, a.room) {
		if err != nil {
			a.t.Fatalf("find the room: %v", err)
		}
		ch, err := a.account.OpenChannel(ctx, device.Device, "sip", "videoCall")
		if err != nil {
			a.t.Fatalf("open a channel: %v", err)
		}
		return ch
	}
	a.t.Fatal("no device of the room")
	return nil
}

// request is a SIP request in the attacker's own name, and of its own dialog.
func (a *attacker) request(method, from, more, body string) string {
	a.n++
	return fmt.Sprintf("%s sips:10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 10.0.0.2;branch=z9hG4bK%d\r\nFrom: <sip:%s@ring.dht>;tag=f\r\n"+
		"To: <sips:%s@10.0.0.1>\r\nCall-ID: c%d\r\nCSeq: 1 %s\r\n%sContent-Length: %d\r\n\r\n%s",
		method, a.n, from, a.room, a.n, method, more, len(body), body)
}

// code returns the final status of a request on a channel.
func (a *attacker) code(ch net.Conn, request string) (code int) {
	a.t.Helper()
	if _, err := io.WriteString(ch, request); err != nil {
		a.t.Fatal(err)
	}
	_ = ch.SetReadDeadline(time.Now().Add(20 * time.Second))
	lines := bufio.NewScanner(ch)
	for lines.Scan() {
		if n, _ := fmt.Sscanf(lines.Text(), "SIP/2.0 %d", &code); n == 1 && code >= 200 {
			return code
		}
	}
	a.t.Fatalf("no answer: %v", lines.Err())
	return 0
}

// offer is a description of a call with sound.
const offer = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\na=ice-ufrag:abcdefgh\r\na=ice-pwd:0123456789abcdef01234567\r\n" +
	"m=audio 9 RTP/SAVP 104\r\na=rtpmap:104 opus/48000/2\r\na=sendrecv\r\n" +
	"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5\r\na=candidate:H1 1 UDP 1 10.77.0.250 9 typ host\r\n"

// A device that has every right to connect says what it should not. Others do not notice.
func TestHostileDevice(t *testing.T) {
	t.Parallel() // daemons mostly wait
	jamilab.Run(t, jamilab.Options{Peers: 1}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		h := openHost(t, ctx, t.TempDir())
		p := l.Peer(1)
		if err := jamilab.Accounts(ctx, p); err != nil {
			t.Fatal(err)
		}
		call, _ := dial(t, ctx, p, h.id, jamilab.Media(nil))
		a := newAttacker(t, ctx, h.id)
		me := a.account.ID().String()

		refusals := []struct {
			name, request string
			want          int
		}{
			{"in another's name", a.request("INVITE", p.URI, "", offer), 403},
			{"without a description", a.request("INVITE", me, "", ""), 488},
			{"with rubbish for one", a.request("INVITE", me, "Content-Type: application/sdp\r\n", strings.Repeat("\xff", 2000)), 400},
			{"with a huge one", a.request("INVITE", me, "Content-Type: application/sdp\r\n", offer+strings.Repeat("a=x\r\n", 8000)), 400},
			{"with too many media", a.request("INVITE", me, "", offer+strings.Repeat("m=audio 9 RTP/SAVP 0\r\n", 40)), 400},
			{"in place of the other's call", a.request("INVITE", me, "Replaces: "+call+";to-tag=1;from-tag=1\r\n", offer), 481},
			{"a method that is none", a.request("FROBNICATE", me, "", ""), 481},
			{"BYE to nothing", a.request("BYE", me, "", ""), 481},
		}
		ch := a.channel()
		for _, r := range refusals {
			if got := a.code(ch, r.request); got != r.want {
				t.Errorf("%s: answered %d, want %d", r.name, got, r.want)
			}
		}
		ch.Close()

		// What is no SIP at all, or has no end, costs the channel.
		for _, rubbish := range []string{"\x00\x01\x02\r\n\r\n", strings.Repeat("x", 100<<10),
			"INVITE sips:x SIP/2.0\r\nContent-Length: 4000000000\r\n\r\n", "OPTIONS sips:x SIP/2.0\r\n" + strings.Repeat("X-Y: z\r\n", 20_000)} {
			ch := a.channel()
			go io.WriteString(ch, rubbish) // it may not be taken to its end
			_ = ch.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := io.Copy(io.Discard, ch); err != nil {
				t.Errorf("the channel stays open after %.20q: %v", rubbish, err)
			}
			ch.Close()
		}

		// Floods: of requests without a dialog, and of calls that never become any.
		flood := a.channel()
		go io.Copy(io.Discard, flood)
		for range 2000 {
			if _, err := io.WriteString(flood, a.request("MESSAGE", me, "Content-Type: text/plain\r\n", "spam")); err != nil {
				break
			}
		}
		for range 100 {
			if _, err := io.WriteString(flood, a.request("INVITE", me, "Content-Type: application/sdp\r\n", offer)); err != nil {
				break
			}
		}
		wait, done := context.WithTimeout(ctx, 30*time.Second)
		defer done()
		for h.value(t, "rendezvous_jami_sip_refused_total", "busy") < 90 {
			select {
			case <-wait.Done():
				t.Fatalf("only %v of a hundred calls are refused", h.value(t, "rendezvous_jami_sip_refused_total", "busy"))
			case <-time.After(50 * time.Millisecond):
			}
		}
		flood.Close()

		// The other caller is heard and obeyed all the while.
		mark := p.Mark()
		h.waitPackets(t, ctx, h.packets(t)+100)
		if err := p.Call(ctx, "CallManager.raiseHand", []any{p.Account, call, p.URI, p.Device, true}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Wait(ctx, mark, "onConferenceInfosUpdated", func(s jamilab.Signal) bool {
			r := row(s, p.URI)
			return r != nil && r["handRaised"] == "true"
		}); err != nil {
			t.Errorf("the honest caller's hand: %v", err)
		}
		for reason, least := range map[string]float64{"from": 1, "replaces": 1, "dialog": 2, "busy": 90} {
			if n := h.value(t, "rendezvous_jami_sip_refused_total", reason); n < least {
				t.Errorf("%v refused for %q, want %v", n, reason, least)
			}
		}
		if n := h.value(t, "rendezvous_jami_sip_malformed_total", ""); n < 4 {
			t.Errorf("%v counted as malformed", n)
		}
	})
}
