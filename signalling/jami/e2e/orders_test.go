package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/conference/settings/settingstest"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/moderation"
)

// rows are the entries of a conference information as a daemon told them to its client.
func rows(s jamilab.Signal) (out []map[string]string) {
	if len(s.Args) < 2 {
		return nil
	}
	b, err := json.Marshal(s.Args[1])
	if err != nil || json.Unmarshal(b, &out) != nil {
		return nil
	}
	return out
}

// row finds a participant's first entry.
func row(s jamilab.Signal, uri string) map[string]string {
	for _, r := range rows(s) {
		if r["uri"] == uri || r["uri"] == uri+"@ring.dht" {
			return r
		}
	}
	return nil
}

// meeting is a room with daemons in it, the first of which is its moderator.
type meeting struct {
	t     *testing.T
	ctx   context.Context
	lab   *jamilab.Lab
	room  *conference.Room
	calls []string
}

func newMeeting(t *testing.T, ctx context.Context, l *jamilab.Lab, source string) *meeting {
	t.Helper()
	host, _, id := openRoom(t, ctx)
	if err := jamilab.Accounts(ctx, l.Peers()...); err != nil {
		t.Fatal(err)
	}
	room, err := host.Room("lobby")
	if err != nil {
		t.Fatal(err)
	}
	err = host.Configure(settingstest.Rooms(settings.Room{ID: "lobby", Title: "The Lobby", SelfUnmute: true,
		Roles: settings.Roles{Moderator: []string{"jami:" + l.Peer(1).URI}}}))
	if err != nil {
		t.Fatal(err)
	}
	m := &meeting{t: t, ctx: ctx, lab: l, room: room}
	for _, p := range l.Peers() {
		if err := p.OpenVideo(ctx, source); err != nil {
			t.Fatal(err)
		}
		call, err := p.PlaceCall(ctx, id, jamilab.Media(&source))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.WaitCall(ctx, call, "CURRENT"); err != nil {
			t.Fatal(err)
		}
		m.calls = append(m.calls, call)
	}
	for i := range l.Peers() {
		m.sees(i+1, 0, "a moving picture of everybody", func(s jamilab.Signal) bool {
			for _, q := range l.Peers() {
				if r := row(s, q.URI); r == nil || r["videoMuted"] != "false" {
					return false
				}
			}
			return true
		})
	}
	return m
}

// order makes a daemon's client give an order by one of the daemon's methods.
func (m *meeting) order(peer int, method string, args ...any) {
	m.t.Helper()
	p := m.lab.Peer(peer)
	mark := p.Mark()
	if err := p.Call(m.ctx, "CallManager."+method, append([]any{p.Account, m.calls[peer-1]}, args...)); err != nil {
		m.t.Error(err)
	}
	if !slices.Contains([]string{"requestMediaChange", "hold", "unhold"}, method) {
		return
	}
	// The others may know of it before the daemon has our answer, and a second re-INVITE it would not
	// even send: pjsip refuses that while the first is pending (RFC 3261 14.1), and the daemon forgets it.
	ctx, cancel := context.WithTimeout(m.ctx, 20*time.Second)
	defer cancel()
	_, err := p.Wait(ctx, mark, "mediaNegotiationStatus", func(s jamilab.Signal) bool { return s.Text(0) == m.calls[peer-1] })
	if err != nil {
		m.t.Errorf("p%d does not come to an end with %s: %v", peer, method, err)
	}
}

// sees waits until a daemon has been told of something.
func (m *meeting) sees(peer, since int, what string, match func(jamilab.Signal) bool) jamilab.Signal {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.ctx, 20*time.Second)
	defer cancel()
	s, err := m.lab.Peer(peer).Wait(ctx, since, "onConferenceInfosUpdated", match)
	if err != nil {
		all := m.lab.Peer(peer).Signals(since, "onConferenceInfosUpdated")
		m.t.Errorf("p%d is not told of %s: %v; %d infos, the last: %v", peer, what, err, len(all), lastOf(all))
	}
	return s
}

func lastOf(s []jamilab.Signal) any {
	if len(s) == 0 {
		return nil
	}
	return s[len(s)-1]
}

// A Jami moderator runs the meeting with their client's own menus; somebody who is none cannot.
func TestJamiModerator(t *testing.T) {
	jamilab.Run(t, jamilab.Options{Peers: 3, Sound: true}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		source := "file://" + testClip(t, "blue")
		m := newMeeting(t, ctx, l, source)
		p1, p2, p3 := l.Peer(1), l.Peer(2), l.Peer(3)
		layout := func() moderation.Layout { return m.room.Info().Layout }

		first := m.sees(1, 0, "who is there", func(s jamilab.Signal) bool { return row(s, p2.URI) != nil && row(s, p2.URI)["w"] != "0" })
		if got := row(first, p1.URI)["isModerator"]; got != "true" {
			t.Errorf("p1 is a moderator and is told %q", got)
		}
		stream := row(first, p2.URI)["sinkId"]

		// One who is no moderator is refused: an order of the moderator's that follows is carried
		// out, and theirs is not.
		m.order(3, "setConferenceLayout", uint32(2))
		mark := p3.Mark()
		m.order(1, "muteParticipant", p2.URI, true)
		m.sees(3, mark, "the mute", func(s jamilab.Signal) bool { return row(s, p2.URI)["audioModeratorMuted"] == "true" })
		if layout() != moderation.LayoutAuto {
			t.Errorf("the layout is %s by the order of somebody who is no moderator", layout())
		}
		mark = p3.Mark()
		m.order(1, "muteStream", p2.URI, p2.Device, stream, false)
		m.sees(3, mark, "the unmute", func(s jamilab.Signal) bool { return row(s, p2.URI)["audioModeratorMuted"] == "false" })

		mark = p3.Mark()
		m.order(1, "setConferenceLayout", uint32(1))
		m.order(1, "setActiveStream", p2.URI, p2.Device, stream, true)
		m.sees(3, mark, "the pinned stream in a large tile", func(s jamilab.Signal) bool {
			r, other := row(s, p2.URI), row(s, p1.URI)
			return r["active"] == "true" && number(r["w"]) > 3*number(other["w"])
		})
		if layout() != moderation.LayoutOneBigWithSmall {
			t.Errorf("the layout is %s after the moderator's order", layout())
		}
		m.order(1, "setConferenceLayout", uint32(0))

		mark = p1.Mark()
		m.order(3, "raiseHand", p3.URI, p3.Device, true)
		m.sees(1, mark, "the raised hand", func(s jamilab.Signal) bool { return row(s, p3.URI)["handRaised"] == "true" })
		mark = p3.Mark()
		m.order(1, "raiseHand", p3.URI, p3.Device, false)
		m.sees(3, mark, "the lowered hand", func(s jamilab.Signal) bool { return row(s, p3.URI)["handRaised"] == "false" })

		mark = p1.Mark()
		m.order(3, "muteLocalMedia", "MEDIA_TYPE_AUDIO", true)
		m.sees(1, mark, "p3's own mute", func(s jamilab.Signal) bool { return row(s, p3.URI)["audioLocalMuted"] == "true" })

		// A second stream: p2 shows something beside its camera.
		screen := "file://" + testClip(t, "orange")
		if err := p2.OpenVideo(ctx, screen); err != nil {
			t.Fatal(err)
		}
		mark = p1.Mark()
		media := append(jamilab.Media(&source), map[string]string{"MEDIA_TYPE": "MEDIA_TYPE_VIDEO", "ENABLED": "true",
			"MUTED": "false", "SOURCE": screen, "LABEL": "video_1"})
		m.order(2, "requestMediaChange", media)
		s := m.sees(1, mark, "p2's second stream", func(s jamilab.Signal) bool {
			n := 0
			for _, r := range rows(s) {
				if row(jamilab.Signal{Args: []any{"", []map[string]string{r}}}, p2.URI) != nil && r["videoMuted"] == "false" && r["w"] != "0" {
					n++
				}
			}
			return n == 2
		})
		t.Logf("two streams of p2: %v", s)

		mark = p1.Mark()
		m.order(1, "hangupParticipant", p3.URI, p3.Device)
		if _, err := p3.Wait(ctx, 0, "callStateChanged", func(s jamilab.Signal) bool {
			return s.Text(1) == m.calls[2] && s.Text(2) == "OVER"
		}); err != nil {
			t.Errorf("p3 was removed and its call goes on: %v", err)
		}
		m.sees(1, mark, "p3's absence", func(s jamilab.Signal) bool { return row(s, p3.URI) == nil && row(s, p2.URI) != nil })
	})
}

func number(s string) (n int) {
	fmt.Sscan(s, &n)
	return n
}

// testClip makes a film of one colour.
func testClip(t *testing.T, colour string) string {
	t.Helper()
	return clipOf(t, "color=c="+colour)
}

// clipOf is a clip of what a source of ffmpeg's makes.
func clipOf(t *testing.T, source string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "clip.mp4")
	out, err := exec.Command("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source+":s=640x360:r=30:d=60",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "30", file).CombinedOutput()
	if err != nil {
		t.Fatalf("make a clip: %v\n%s", err, out)
	}
	return file
}
