package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rendezvous/internal/lab/jamilab"
)

// dial places a call and waits until it is up.
func dial(t *testing.T, ctx context.Context, p *jamilab.Peer, id string, media []map[string]string) (call string, after time.Duration) {
	t.Helper()
	began := time.Now()
	call, err := p.PlaceCall(ctx, id, media)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.WaitCall(ctx, call, "CURRENT"); err != nil {
		t.Fatalf("%s: %v", p.Name(), err)
	}
	return call, time.Since(began)
}

// hangUp ends a call and waits until it is over.
func hangUp(t *testing.T, ctx context.Context, p *jamilab.Peer, call string) {
	t.Helper()
	if err := p.HangUp(ctx, call); err != nil {
		t.Fatal(err)
	}
	if err := p.WaitCall(ctx, call, "OVER"); err != nil {
		t.Fatal(err)
	}
}

// muted is a media list with its video switched off.
func muted(media []map[string]string) []map[string]string {
	for _, m := range media {
		if m["MEDIA_TYPE"] == "MEDIA_TYPE_VIDEO" {
			m["MUTED"] = "true"
		}
	}
	return media
}

// texts are the messages that a daemon got in its call.
func texts(p *jamilab.Peer, since int) (out []string) {
	for _, s := range p.Signals(since, "incomingMessage") {
		out = append(out, fmt.Sprint(s.Args[3]))
	}
	return out
}

// What daemons do in calls beside talking: see the time it takes, renegotiate, write; and
// what calls outlive.
func TestCallsInUse(t *testing.T) {
	jamilab.Run(t, jamilab.Options{Peers: 2}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		dir := t.TempDir()
		h := openHost(t, ctx, dir)
		p1, p2 := l.Peer(1), l.Peer(2)
		if err := jamilab.Accounts(ctx, l.Peers()...); err != nil {
			t.Fatal(err)
		}
		source := "file://" + testClip(t, "blue")
		if err := p1.OpenVideo(ctx, source); err != nil {
			t.Fatal(err)
		}

		var took []time.Duration
		for range 10 {
			call, after := dial(t, ctx, p1, h.id, jamilab.Media(nil))
			took = append(took, after.Round(time.Millisecond))
			hangUp(t, ctx, p1, call)
		}
		slices.Sort(took)
		t.Logf("dialling to CURRENT, ten calls: median %v of %v", (took[4]+took[5])/2, took)
		if median := (took[4] + took[5]) / 2; median > 2*time.Second {
			t.Errorf("the median of ten calls is %v", median)
		}

		m := &meeting{t: t, ctx: ctx, lab: l, room: h.room}
		video := jamilab.Media(&source)
		call, _ := dial(t, ctx, p1, h.id, video)
		m.calls = append(m.calls, call)
		call, _ = dial(t, ctx, p2, h.id, jamilab.Media(nil))
		m.calls = append(m.calls, call)
		video1 := func(want string) func(jamilab.Signal) bool {
			return func(s jamilab.Signal) bool { r := row(s, p1.URI); return r != nil && r["videoMuted"] == want }
		}
		m.sees(2, 0, "p1's picture", video1("false"))

		on := func(want string) func(jamilab.Signal) bool {
			return func(s jamilab.Signal) bool { r := row(s, p2.URI); return r != nil && r["videoMuted"] == want }
		}
		t.Run("video to a call without", func(t *testing.T) {
			m.t = t
			mark := p1.Mark()
			if err := p2.OpenVideo(ctx, source); err != nil {
				t.Fatal(err)
			}
			m.order(2, "requestMediaChange", jamilab.Media(&source))
			m.sees(1, mark, "p2's new picture", on("false"))
		})
		t.Run("video off and on, hold and resume", func(t *testing.T) {
			m.t = t
			mark := p2.Mark()
			m.order(1, "requestMediaChange", muted(jamilab.Media(&source)))
			m.sees(2, mark, "p1's video being off", video1("true"))
			mark = p2.Mark()
			m.order(1, "requestMediaChange", video)
			m.sees(2, mark, "p1's video being on again", video1("false"))
			h.waitVideo(t, ctx) // a picture of before may be shown until there is a new one
			mark = p2.Mark()
			m.order(1, "hold")
			m.sees(2, mark, "p1's hold", video1("true"))
			mark = p2.Mark()
			m.order(1, "unhold")
			m.sees(2, mark, "p1 after its hold", video1("false"))
		})
		t.Run("video taken away", func(t *testing.T) {
			m.t = t
			mark := p1.Mark()
			m.order(2, "requestMediaChange", jamilab.Media(nil))
			m.sees(1, mark, "p2 without a picture", on("true"))
		})
		t.Run("chat", func(t *testing.T) {
			m.t = t
			mark := p2.Mark()
			long := strings.Repeat("long ", 800)
			for _, payload := range []map[string]string{
				{"text/plain": "hello from one"},
				{"x-ring/ring.profile.vcard;id=1;part=1;of=1": "BEGIN:VCARD"},
				{"text/plain": long},
				{"text/plain": "the last"},
			} {
				m.order(1, "sendTextMessage", payload, false)
			}
			wait, done := context.WithTimeout(ctx, 20*time.Second)
			defer done()
			_, err := p2.Wait(wait, mark, "incomingMessage", func(s jamilab.Signal) bool { return strings.Contains(s.String(), "p1: the last") })
			got := strings.Join(texts(p2, mark), "\n")
			if err != nil {
				t.Errorf("%v; p2 got %.300q", err, got)
			}
			if !strings.Contains(got, "p1: hello from one") || !strings.Contains(got, strings.TrimSpace(long[:3000])) || strings.Contains(got, "VCARD") {
				t.Errorf("p2 got %q", got)
			}
			for _, own := range texts(p1, 0) {
				if strings.Contains(own, "hello from one") {
					t.Error("p1 gets its own words again")
				}
			}
		})

		t.Run("without the DHT", func(t *testing.T) {
			m.t = t
			if err := l.StopDHT(); err != nil {
				t.Fatal(err)
			}
			before := h.packets(t)
			mark := p2.Mark()
			m.order(1, "raiseHand", p1.URI, p1.Device, true)
			m.sees(2, mark, "p1's hand", func(s jamilab.Signal) bool { return row(s, p1.URI)["handRaised"] == "true" })
			h.waitPackets(t, ctx, before+200)
			if err := l.StartDHT(); err != nil {
				t.Fatal(err)
			}
		})
		t.Run("cable out and in", func(t *testing.T) {
			if err := l.Link("p1", false); err != nil {
				t.Fatal(err)
			}
			before := h.packets(t)
			time.Sleep(4 * time.Second) // the outage itself
			if err := l.Link("p1", true); err != nil {
				t.Fatal(err)
			}
			h.waitPackets(t, ctx, before+50) // p2's at least
			_ = p1.HangUp(ctx, m.calls[0])   // it may be over already
			if err := p1.WaitCall(ctx, m.calls[0], "OVER"); err != nil {
				t.Error(err)
			}
			call, after := dial(t, ctx, p1, h.id, jamilab.Media(nil))
			t.Logf("back after %v", after)
			m.calls[0] = call
		})
		t.Run("host restarted", func(t *testing.T) {
			id := h.id
			h.close()
			for i, p := range l.Peers() {
				if err := p.WaitCall(ctx, m.calls[i], "OVER"); err != nil {
					t.Errorf("%s: the call outlives its host: %v", p.Name(), err)
				}
			}
			h = openHost(t, ctx, dir)
			if h.id != id {
				t.Fatalf("the room's id was %s and is %s", id, h.id)
			}
			for _, p := range l.Peers() {
				_, after := dial(t, ctx, p, h.id, jamilab.Media(nil))
				t.Logf("%s is back after %v", p.Name(), after)
			}
		})
	})
}

// A daemon that hosts a conference itself is called, by two rooms, and is one participant in each. The
// others in its conference are not daemons: one that is called by another locks itself up now and then.
func TestRoomCallsAHost(t *testing.T) {
	t.Parallel() // the daemon mostly waits
	jamilab.Run(t, jamilab.Options{Peers: 1}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		rendezvous := l.Peer(1)
		if err := jamilab.Accounts(ctx, rendezvous); err != nil {
			t.Fatal(err)
		}
		if err := rendezvous.Set(ctx, map[string]string{"Account.rendezVous": "true"}); err != nil {
			t.Fatal(err)
		}
		hosts := []*hosted{openHost(t, ctx, t.TempDir()), openHost(t, ctx, t.TempDir())}
		for _, h := range hosts {
			began := time.Now()
			if err := h.door.Dial(ctx, h.room, rendezvous.URI); err != nil {
				t.Fatal(err)
			}
			t.Logf("answered after %v", time.Since(began))
		}
		created, err := rendezvous.Wait(ctx, 0, "conferenceCreated", nil)
		if err != nil {
			t.Fatal(err)
		}
		wait, done := context.WithTimeout(ctx, 20*time.Second)
		defer done()
		for {
			var calls []string
			if err := rendezvous.Call(wait, "CallManager.getParticipantList", []any{rendezvous.Account, created.Text(1)}, &calls); err != nil {
				t.Fatal(err)
			}
			if len(calls) == len(hosts) {
				break
			}
			select {
			case <-wait.Done():
				t.Fatalf("the daemon's conference has the calls %v, want those of %d rooms", calls, len(hosts))
			case <-time.After(100 * time.Millisecond):
			}
		}
		for _, h := range hosts {
			h.waitPackets(t, ctx, h.packets(t)+100)
			people := h.room.Info().Participants
			if len(people) != 1 || people[0].Identity != "jami:"+rendezvous.URI {
				t.Errorf("in the room: %+v", people)
			}
		}
	})
}
