package conference

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/moderation"
)

// The more are in a room, the less often they are told of it, and who comes into a large one sees what all were told last. Who has
// the same name as hundreds of others has a number.
func TestCrowdIsToldLessOften(t *testing.T) { synctest.Test(t, testCrowdIsToldLessOften) }

func testCrowdIsToldLessOften(t *testing.T) {
	const people = 500
	r := newRoomOf(t, settings.Room{})
	first, e := join(t, r, Caller{Name: "Ann"})
	all := []*Member{first}
	told := func() int {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.infos)
	}
	// change has something change for so long, and counts what is told of it.
	change := func(lasts time.Duration) int {
		before := told()
		for i := range int(lasts / (10 * time.Millisecond)) {
			if err := first.SetSelfMuted(i%2 == 0); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		return told() - before
	}
	if n := change(3 * time.Second); n < 20 || n > 31 {
		t.Errorf("one is told %d times in 3 s", n)
	}
	for range people - 1 {
		m, _ := join(t, r, Caller{Name: "ann"})
		all = append(all, m)
	}
	if last := see(t, r, all[people-1].ID()).Name; last != fmt.Sprintf("ann (%d)", people) {
		t.Errorf("the last is called %q", last)
	}
	if n := change(3 * time.Second); n < 5 || n > 7 {
		t.Errorf("%d are told %d times in 3 s", people, n)
	}
	time.Sleep(time.Second) // what was changed last is told
	synctest.Wait()
	info, _ := all[people-1].View()
	m, _ := join(t, r, Caller{Name: "Zoë"})
	seen, _ := m.View()
	if len(info.Participants) != people || seen != info {
		t.Errorf("a newcomer sees %d people, by an Info of their own", len(seen.Participants))
	}
	time.Sleep(time.Second)
	if seen, _ = m.View(); len(seen.Participants) != people+1 {
		t.Errorf("a second later they see %d people", len(seen.Participants))
	}
	for _, m := range append(all[10:], m) {
		m.Leave(EndLeft)
	}
	time.Sleep(time.Second)
	if seen, _ = first.View(); len(seen.Participants) != 10 {
		t.Errorf("%d are shown, of 10 who are left", len(seen.Participants))
	}
	if n := change(3 * time.Second); n < 20 || n > 31 {
		t.Errorf("ten are told %d times in 3 s", n)
	}
}

func TestInfoPause(t *testing.T) {
	for n, want := range map[int]time.Duration{0: infoInterval, 1: infoInterval, 100: infoInterval, 300: 300 * time.Millisecond, 1000: time.Second, 5000: time.Second} {
		if got := infoPause(n); got != want {
			t.Errorf("%d people: %v, want %v", n, got, want)
		}
	}
}

// Whose door shows the roster sees there who comes and goes, out of the lobby too; others are sent notices.
func TestComingsAreToldOnce(t *testing.T) {
	r := newRoomOf(t, settings.Room{Lobby: true})
	mod := proven("Mo", moderation.Moderator)
	mod.SeesRoster = true
	m, page := join(t, r, mod)
	_, phone := joinAs(t, r, "Phil", moderation.Moderator)
	b, _ := join(t, r, Caller{Name: "Bob"})
	page.waitNotice(t, NoticeKnock)
	must(t, m, moderation.Order{Action: moderation.Admit, Target: b.ID()})
	if n := phone.waitNotice(t, NoticeEntered); n.Text != "Bob" {
		t.Errorf("%q has come", n.Text)
	}
	b.Leave(EndLeft)
	phone.waitNotice(t, NoticeLeft)
	must(t, m, moderation.Order{Action: moderation.Announce, Text: "last"})
	page.waitNotice(t, NoticeAnnouncement)
	page.mu.Lock()
	defer page.mu.Unlock()
	for _, n := range page.notices {
		if n.Kind == NoticeEntered || n.Kind == NoticeLeft {
			t.Errorf("a page is told %v", n)
		}
	}
}
