package conference

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"rendezvous/conference/settings"
	"rendezvous/moderation"
)

func TestMailbox(t *testing.T) {
	metrics := NewMetrics(prometheus.NewRegistry())
	e := newEar()
	b := newMailbox(metrics)
	b.post(Admitted{})
	for i := range mailboxLength + 10 { // before anybody delivers
		b.post(Message{Text: fmt.Sprint(i)})
		b.postInfo(&Info{Serial: uint64(i)})
	}
	b.end(EndRemoved)
	b.end(EndLeft)
	b.post(Message{Text: "late"})
	b.postInfo(&Info{})
	b.deliver(e)
	if e.admitted != 1 || len(e.chats) != mailboxLength-1 || len(e.ended) != 1 || e.ended[0] != EndRemoved || len(e.late) != 0 {
		t.Errorf("admitted %d, %d lines, ended %v, late %v", e.admitted, len(e.chats), e.ended, e.late)
	}
	if first, last := e.chats[0].Text, e.chats[len(e.chats)-1].Text; first != "11" || last != "265" {
		t.Errorf("lines %s to %s", first, last)
	}
	var dropped dto.Metric
	if err := metrics.dropped.Write(&dropped); err != nil || dropped.Counter.GetValue() != 11 {
		t.Errorf("%v dropped (%v)", &dropped, err)
	}
}

// Reactions take nobody's place who waits: not a line's, nor that of what a page has missed.
func TestReactionsMakeWay(t *testing.T) {
	b := newMailbox(NewMetrics(nil))
	b.post(Admitted{})
	for i := range mailboxLength {
		b.post(Message{Text: fmt.Sprint(i)})
		b.post(Reaction{Text: "👏"})
	}
	news := b.fetch().News
	if _, ok := news[0].(Admitted); !ok || len(news) != mailboxLength {
		t.Fatalf("%d, the first is %v", len(news), news[0])
	}
	for i, n := range news[1:] {
		if m, ok := n.(Message); !ok || m.Text != fmt.Sprint(i+1) {
			t.Fatalf("%d is %v", i+1, n)
		}
	}
	b.putBack([]News{Message{Text: "a"}, Reaction{}, Message{Text: "b"}})
	if news = b.fetch().News; len(news) != 2 || news[1] != (Message{Text: "b"}) {
		t.Errorf("put back and fetched: %v", news)
	}
}

// At most ten Infos a second, the newest always arrives, and a slow door neither
// holds up the others nor hears of every step.
func TestInfosAreCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, Config{}, settings.Room{})
		defer h.Close()
		r := h.Rooms()[0]
		mod, e := joinAs(t, r, "mod", moderation.Moderator)
		slow := newEar()
		slow.slow = 3 * time.Second
		if _, err := r.Join(t.Context(), Caller{Door: "web", Name: "slow"}, slow.leg, slow); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		before, from := len(e.infos), time.Now()
		for i := range 1000 {
			must(t, mod, moderation.Order{Action: moderation.Rename, Text: fmt.Sprint("name ", i)})
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		n := len(e.infos) - before
		if most := int(time.Since(from)/infoInterval) + 1; n < 90 || n > most {
			t.Errorf("%d infos, want at most %d", n, most)
		}
		for i := 1; i < len(e.infos); i++ {
			if e.infos[i].Serial <= e.infos[i-1].Serial {
				t.Error("an older info came after a newer")
			}
		}
		if got := e.infos[len(e.infos)-1].Participants[0].Name; got != "name 999" {
			t.Errorf("the last info shows %q", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(slow.infos); n > 8 {
			t.Errorf("the slow door heard %d infos", n)
		}
		if got := slow.infos[len(slow.infos)-1].Participants[0].Name; got != "name 999" {
			t.Errorf("the slow door's last info shows %q", got)
		}
		// When nothing changes, nothing is sent.
		quiet := len(e.infos)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if n := len(e.infos); n != quiet {
			t.Errorf("%d infos without a change", n-quiet)
		}
	})
}
