package conference

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/internal/clocktest"
	"rendezvous/moderation"
)

// inBubble runs f with a clock that jumps, in a host that is closed before the bubble ends.
func inBubble(t *testing.T, rc settings.Room, f func(t *testing.T, r *Room)) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, Config{}, rc)
		f(t, h.Rooms()[0])
		h.Close()
	})
}

// outcome says how the membership ended, "" if it has not, once all is quiet in a bubble.
func (e *ear) outcome() EndReason {
	synctest.Wait()
	return e.outcomeNow()
}

func (e *ear) outcomeNow() EndReason {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.ended) == 0 {
		return ""
	}
	return e.ended[0]
}

func TestDuration(t *testing.T) {
	inBubble(t, settings.Room{MaxDuration: settings.Duration(2 * time.Minute), Lobby: true, LobbyTimeout: settings.Duration(90 * time.Second)}, func(t *testing.T, r *Room) {
		_, early := join(t, r, Caller{Name: "early"})
		time.Sleep(time.Minute) // waiting is not meeting
		mod, e := joinAs(t, r, "mod", moderation.Moderator)
		if got := r.Info().Ends.Sub(*r.Info().Began); got != 2*time.Minute {
			t.Errorf("lasts %v", got)
		}
		time.Sleep(time.Minute - time.Second)
		synctest.Wait()
		e.mu.Lock()
		if slices.ContainsFunc(e.notices, func(n Notice) bool { return n.Kind == NoticeEnding }) {
			t.Error("warned too early")
		}
		e.mu.Unlock()
		if got := early.outcome(); got != EndTimeout { // of the lobby
			t.Errorf("who waits ended with %q", got)
		}
		time.Sleep(2 * time.Second)
		if n := e.waitNotice(t, NoticeEnding); n.Text != "The meeting ends in 60 seconds." {
			t.Errorf("told %q", n.Text)
		}
		must(t, mod, moderation.Order{Action: moderation.Limits, Text: "4m"})
		time.Sleep(2 * time.Minute)
		if got := e.outcome(); got != "" {
			t.Errorf("ended with %q although it was extended", got)
		}
		mustNot(t, mod, moderation.Order{Action: moderation.Limits, Text: "2m"}, "The meeting has lasted longer than that already.")
		mustNot(t, mod, moderation.Order{Action: moderation.Limits, Text: "/2000-01-01T00:00:00Z"}, "That time has passed.")
		time.Sleep(time.Minute + time.Second)
		if got := e.outcome(); got != EndTimeout {
			t.Errorf("ended with %q", got)
		}
		// The next meeting has its own time.
		m, e := joinAs(t, r, "mod", moderation.Moderator)
		time.Sleep(100 * time.Second)
		if got := e.outcome(); got != "" {
			t.Errorf("the next meeting ended with %q", got)
		}
		must(t, m, moderation.Order{Action: moderation.Limits, Text: "0"})
		time.Sleep(2 * time.Minute)
		if got := e.outcome(); got != "" {
			t.Errorf("ended with %q without a limit", got)
		}
	})
}

func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := time.Now().Add(time.Minute)
		h := newHost(t, Config{}, settings.Room{From: settings.Moment(from), Until: settings.Moment(from.Add(2 * time.Minute))})
		defer h.Close()
		r := h.Rooms()[0]
		_, _, err := admit(r, Caller{})
		refused(t, err, RefusedClosed)
		mod, _ := joinAs(t, r, "mod", moderation.Moderator) // may prepare the room
		time.Sleep(time.Minute)
		_, e := join(t, r, Caller{})
		time.Sleep(61 * time.Second)
		e.waitNotice(t, NoticeEnding)
		time.Sleep(time.Minute)
		if got := e.outcome(); got != EndTimeout {
			t.Errorf("ended with %q", got)
		}
		_, _, err = admit(r, proven("host", moderation.Host))
		refused(t, err, RefusedClosed)
		if want := "The room was open until 2000-01-01 00:03 UTC."; err.Error() != want {
			t.Errorf("told %q, want %q", err, want)
		}
		mustNot(t, mod, moderation.Order{Action: moderation.Limits, Text: "/"}, "You are no longer in the meeting.")
		by := Operator{Name: "api", Role: moderation.Host}
		if err := r.Order(by, moderation.Order{Action: moderation.Limits, Text: "/"}); err != nil {
			t.Fatal(err)
		}
		join(t, r, Caller{})
	})
}

// People are told of the end in time: five minutes before, and one. That the meeting has a new end is told anew.
func TestWarnings(t *testing.T) {
	inBubble(t, settings.Room{MaxDuration: settings.Duration(30 * time.Minute)}, func(t *testing.T, r *Room) {
		mod, e := joinAs(t, r, "mod", moderation.Moderator)
		told := func(within time.Duration, want ...string) {
			t.Helper()
			time.Sleep(within)
			synctest.Wait()
			e.mu.Lock()
			defer e.mu.Unlock()
			var got []string
			for _, n := range e.notices {
				if n.Kind == NoticeEnding {
					got = append(got, n.Text)
				}
			}
			e.notices = nil
			if !slices.Equal(got, want) {
				t.Errorf("told %q, want %q", got, want)
			}
		}
		const second = time.Second
		told(25*time.Minute - second)
		told(2*second, "The meeting ends in 5 minutes.")
		told(4*time.Minute - 3*second)
		told(3*second, "The meeting ends in 60 seconds.")
		must(t, mod, moderation.Order{Action: moderation.Limits, Text: "1h"})
		told(25*time.Minute + 58*second)
		told(2*second, "The meeting ends in 5 minutes.")
		must(t, mod, moderation.Order{Action: moderation.Limits, Text: "/" + time.Now().Add(30*second).Format(time.RFC3339)})
		told(second, "The meeting ends in 30 seconds.")
	})
}

// A clock that is set moves the end of opening hours with it, and no meeting's length.
func TestTimesOfASetClock(t *testing.T) {
	clock := clocktest.New()
	inBubble(t, settings.Room{MaxDuration: settings.Duration(time.Hour)}, func(t *testing.T, r *Room) {
		_, e := join(t, r, Caller{})
		r.mu.Lock()
		r.began = clock.Now()
		clock.Step(2 * time.Hour)
		r.checkTimes(clock.Now())
		r.mu.Unlock()
		if got := e.outcome(); got != "" {
			t.Errorf("ended with %q by a clock that was set", got)
		}
		r.mu.Lock()
		r.until = clock.Now().Add(time.Hour).Round(0)
		r.checkTimes(clock.Now())
		open := r.noPlace(moderation.Speaker, clock.Now())
		clock.Step(time.Hour)
		closed := r.noPlace(moderation.Speaker, clock.Now())
		r.checkTimes(clock.Now())
		r.mu.Unlock()
		if open != nil || closed == nil || closed.Code != RefusedClosed {
			t.Errorf("before the end refused with %v, after it with %v", open, closed)
		}
		if got := e.outcome(); got != EndTimeout {
			t.Errorf("ended with %q when the hour had come", got)
		}
	})
}

func TestEndWithHost(t *testing.T) {
	inBubble(t, settings.Room{EndWithHost: true}, func(t *testing.T, r *Room) {
		host, _ := joinAs(t, r, "host", moderation.Host)
		mod, emod := joinAs(t, r, "mod", moderation.Moderator)
		_, e := join(t, r, Caller{})
		host.Leave(EndLeft)
		if n := e.waitNotice(t, NoticeEnding); n.Text != "The host has left. The meeting ends in 10 seconds." {
			t.Errorf("told %q", n.Text)
		}
		time.Sleep(9 * time.Second)
		host, _ = joinAs(t, r, "host", moderation.Host) // back in time
		time.Sleep(time.Minute)
		if got := e.outcome(); got != "" {
			t.Errorf("ended with %q although the host is back", got)
		}
		mod.Leave(EndLeft) // a moderator is no host
		time.Sleep(time.Minute)
		if got := e.outcome(); got != "" {
			t.Errorf("ended with %q when a moderator left", got)
		}
		host.Leave(EndLeft)
		time.Sleep(11 * time.Second)
		if got := e.outcome(); got != EndMeeting {
			t.Errorf("ended with %q", got)
		}
		if got := emod.outcome(); got != EndLeft {
			t.Errorf("the moderator ended with %q", got)
		}

		// Without a host, the last moderator is meant; and it can be turned off.
		mod, _ = joinAs(t, r, "mod", moderation.Moderator)
		_, e = join(t, r, Caller{})
		mod.Leave(EndLeft)
		time.Sleep(11 * time.Second)
		if got := e.outcome(); got != EndMeeting {
			t.Errorf("ended with %q", got)
		}
		mod, _ = joinAs(t, r, "mod", moderation.Moderator)
		_, e = join(t, r, Caller{})
		must(t, mod, moderation.Order{Action: moderation.EndWithHost})
		mod.Leave(EndLeft)
		time.Sleep(time.Minute)
		if got := e.outcome(); got != "" {
			t.Errorf("ended with %q although that was turned off", got)
		}
	})
}

func TestEndWithHostAtOnce(t *testing.T) {
	inBubble(t, settings.Room{EndWithHost: true}, func(t *testing.T, r *Room) {
		c := r.Settings()
		c.HostGrace = 0
		r.configure(c)
		host, _ := joinAs(t, r, "host", moderation.Host)
		_, e := join(t, r, Caller{})
		host.Leave(EndLeft)
		time.Sleep(time.Second)
		if got := e.outcome(); got != EndMeeting {
			t.Errorf("ended with %q", got)
		}
	})
}

func TestLobbyTimeout(t *testing.T) {
	inBubble(t, settings.Room{Lobby: true, LobbyTimeout: settings.Duration(time.Minute)}, func(t *testing.T, r *Room) {
		_, e := join(t, r, Caller{})
		time.Sleep(59 * time.Second)
		if got := e.outcome(); got != "" {
			t.Errorf("ended with %q", got)
		}
		time.Sleep(2 * time.Second)
		if got := e.outcome(); got != EndTimeout {
			t.Errorf("ended with %q", got)
		}
	})
}

// What moderators ordered is over with the meeting.
func TestNextMeetingIsAsConfigured(t *testing.T) {
	r := newRoomOf(t, settings.Room{Lecture: true, MaxParticipants: 7})
	mod, e := joinAs(t, r, "mod", moderation.Moderator)
	for _, o := range []moderation.Order{
		{Action: moderation.Lock, On: true}, {Action: moderation.Lobby, On: true}, {Action: moderation.Lecture},
		{Action: moderation.SelfUnmute, On: true}, {Action: moderation.SetLayout, Text: "one-big"},
		{Action: moderation.HideNonVideo, On: true}, {Action: moderation.EndWithHost, On: true},
		{Action: moderation.Limits, N: 3, Text: "90m"},
	} {
		must(t, mod, o)
	}
	if i := r.Info(); !i.Locked || !i.Lobby || i.Lecture || !i.SelfUnmute || i.Layout != moderation.LayoutOneBig || !i.HideNonVideo || !i.EndWithHost || i.Max != 3 || i.Ends == nil {
		t.Errorf("shown as %+v", i)
	}
	mod.Leave(EndLeft)
	e.waitEnded(t, EndLeft)
	if i := r.Info(); i.Locked || i.Lobby || !i.Lecture || i.SelfUnmute || i.Layout != moderation.LayoutAuto || i.HideNonVideo || i.EndWithHost || i.Max != 7 || i.Ends != nil {
		t.Errorf("the next meeting is %+v", i)
	}
}
