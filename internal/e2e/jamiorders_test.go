package e2e

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rendezvous/internal/lab/browser"
	"rendezvous/internal/lab/jamilab"
)

// The orders that a Jami client knows, its chat's commands for the rest, and what callers from Jami are told:
// with daemons, a browser that sees them, and a telephone that knows to the packet what it hears.
func TestJamiOrders(t *testing.T) {
	jamilab.Run(t, jamilab.Options{Peers: 2, Sound: true}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		dir := t.TempDir()
		mia, kim := &daemon{Peer: l.Peer(1)}, &daemon{Peer: l.Peer(2), tone: 800, color: blue}
		if err := jamilab.Accounts(ctx, mia.Peer, kim.Peer); err != nil {
			t.Fatal(err)
		}
		kim.speak(t, ctx, l, dir)
		h := startEdited(t, append(slices.Clone(withToken), "\npeople: {}\n",
			"\npeople:\n  kim:\n    identities: [\"jami:"+kim.URI+"\", \"web:kim\"]\n"),
			"RENDEZVOUS_JAMI_ENABLED=true", "RENDEZVOUS_JAMI_BOOTSTRAP="+jamilab.Bootstrap, "RENDEZVOUS_JAMI_STUN=",
			"RENDEZVOUS_ROOMS_MAIN_ROLES_MODERATOR=jami:"+mia.URI, "RENDEZVOUS_ROOMS_MAIN_MODERATOR_PIN=4711",
			"RENDEZVOUS_ROOMS_MAIN_RECORDING=off", "RENDEZVOUS_SIP_TONES=false", "RENDEZVOUS_WEB_JOIN_SECRET="+joinSecret)
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		id := h.jamiID(t)
		ann, err := browser.Start(ctx, browser.Options{Color: red})
		must(err)
		defer ann.Close()
		must(ann.Join(h.url(), "Ann", "4711"))
		e := listen(t, h, "ear", "main*4711", 0)
		source := clip(t, dir, kim.Name(), kim.color, "640x360")
		must(kim.OpenVideo(ctx, source))
		for d, media := range map[*daemon][]map[string]string{mia: jamilab.Media(nil), kim: jamilab.Media(&source)} {
			if d.call, err = d.PlaceCall(ctx, id, media); err != nil {
				t.Fatal(err)
			}
			must(d.WaitCall(ctx, d.call, "CURRENT"))
		}
		must(ann.WaitPeople(4, 30*time.Second))
		waitColors(t, ann, kim.Name(), kim.color)
		m := &effects{t: t, ear: e}
		m.hears(kim.tone)

		// order is a method of the client's own menus; write is a line in the call's chat.
		order := func(d *daemon, method string, args ...any) func() error {
			return func() error {
				return d.Call(ctx, "CallManager."+method, append([]any{d.Account, d.call}, args...))
			}
		}
		write := func(d *daemon, text string) func() error {
			return order(d, "sendTextMessage", map[string]string{"text/plain": text}, false)
		}
		m.silences("Jami: mute one", order(mia, "muteParticipant", kim.URI, true), kim.tone)
		m.restores("Jami: unmute one", order(mia, "muteParticipant", kim.URI, false), kim.tone)
		m.silences("Jami: kim mutes itself", order(kim, "muteLocalMedia", "MEDIA_TYPE_AUDIO", true), kim.tone)
		m.restores("Jami: kim unmutes itself", order(kim, "muteLocalMedia", "MEDIA_TYPE_AUDIO", false), kim.tone)
		m.silences("Jami's chat: /mute", write(mia, "/mute "+kim.Name()), kim.tone)
		m.restores("Jami's chat: /unmute", write(mia, "/unmute "+kim.Name()), kim.tone)
		m.silences("Jami's chat: /lecture on", write(mia, "/lecture on"), kim.tone)
		m.restores("Jami's chat: /floor", write(mia, "/floor "+kim.Name()), kim.tone)
		must(write(mia, "/lecture off")())
		must(write(mia, "/nofloor "+kim.Name())())

		// Somebody who does not run the meeting is told that they may not.
		mark := kim.Mark()
		must(write(kim, "/lock")())
		if _, err := kim.Wait(ctx, mark, "incomingMessage", func(s jamilab.Signal) bool { return strings.Contains(s.String(), "does not allow") }); err != nil {
			t.Errorf("kim, who is no moderator, is not told that they cannot lock the room: %v", err)
		}

		// Taken out: the call ends, tone and tile are gone.
		m.silences("Jami: remove", order(mia, "hangupParticipant", kim.URI, kim.Device), kim.tone)
		must(kim.WaitCall(ctx, kim.call, "OVER"))
		must(ann.WaitPeople(3, 10*time.Second))
		if r, err := ann.Tile(kim.Name()); err != nil || !r.Empty() {
			t.Errorf("the removed one's tile is still at %v, %v", r, err)
		}

		// Locked: refused, and the client is told.
		must(write(mia, "/lock")())
		must(ann.WaitFor(`call.room.locked`, 10*time.Second))
		refused := func(what string) {
			t.Helper()
			began := time.Now()
			call, err := kim.PlaceCall(ctx, id, jamilab.Media(nil))
			must(err)
			wait, done := context.WithTimeout(ctx, 30*time.Second)
			defer done()
			s, err := kim.Wait(wait, 0, "callStateChanged", func(s jamilab.Signal) bool {
				return s.Text(1) == call && slices.Contains([]string{"CURRENT", "FAILURE", "BUSY", "OVER"}, s.Text(2))
			})
			if err != nil || s.Text(2) == "CURRENT" {
				t.Errorf("%s: kim's call: %v %v", what, s, err)
			}
			t.Logf("%s: kim's client shows %v after %v", what, s, time.Since(began).Round(time.Millisecond))
		}
		refused("locked")
		must(write(mia, "/unlock")())
		must(ann.WaitFor(`!call.room.locked`, 10*time.Second))

		// Whoever was removed waits in the lobby when they come again, hears nothing and is not heard.
		began := time.Now()
		kim.call, err = kim.PlaceCall(ctx, id, jamilab.Media(nil))
		must(err)
		must(kim.WaitCall(ctx, kim.call, "CURRENT"))
		if p := h.person(t, kim.Name()); !p.Waiting {
			t.Error("kim was removed and is in again")
		}
		time.Sleep(time.Second) // of waiting, which is what is measured
		e.never("the meeting hears the lobby", began, kim.tone)
		m.restores("Jami's chat: /admit", write(mia, "/admit "+kim.Name()), kim.tone)

		// Banned: by their proven identity, through every door.
		m.silences("Jami's chat: /ban", write(mia, "/ban "+kim.Name()), kim.tone)
		must(kim.WaitCall(ctx, kim.call, "OVER"))
		refused("banned")
		req, err := http.NewRequest("POST", strings.Replace(h.url(), "/r/", "/whip/", 1)+"?name=Robert", strings.NewReader("v=0\r\n"))
		must(err)
		req.Header.Set("Content-Type", "application/sdp")
		req.Header.Set("Authorization", "Bearer "+strings.SplitN(h.joinLink("kim", "", "speaker"), "#token=", 2)[1])
		resp, err := http.DefaultClient.Do(req)
		must(err)
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		t.Logf("banned: kim by their other proven identity, through the web: %s %s", resp.Status, strings.TrimSpace(string(body)))
		if resp.StatusCode != http.StatusForbidden || !strings.Contains(string(body), "banned") {
			t.Errorf("the same person comes in through the web: %s %s", resp.Status, body)
		}

		must(write(mia, "/end")())
		must(mia.WaitCall(ctx, mia.call, "OVER"))
		if reason, _, err := e.waitEnd(ctx); err != nil || !strings.Contains(reason, `"ended"`) {
			t.Errorf("the meeting was ended: BYE with reason %q, %v", reason, err)
		}
		m.summary()
	})
}
