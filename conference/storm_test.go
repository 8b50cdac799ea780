package conference

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/conference/audit"
	"rendezvous/conference/settings"
	"rendezvous/moderation"
)

// A meeting of 300 with five moderators who give 200 orders a second between
// them, while people come and go. Every order is carried out in turn or refused with
// a reason, everybody's last Info is the room's, and nobody is sent too many.
func TestModeratorStorm(t *testing.T) { synctest.Test(t, testModeratorStorm) }

func testModeratorStorm(t *testing.T) {
	const (
		people     = 300
		moderators = 5
		perSecond  = 200
		lasts      = 3 * time.Second
	)
	opened := time.Now()
	h := newHost(t, Config{}, settings.Room{})
	r := h.Rooms()[0]
	var mods []*Member
	var all []*Member
	var ears []*ear
	for i := range moderators {
		m, e := joinAs(t, r, fmt.Sprint("mod", i), moderation.Moderator)
		mods, all, ears = append(mods, m), append(all, m), append(ears, e)
	}
	for i := range people - moderators {
		m, e := join(t, r, Caller{Name: name(i), Identity: "web:" + name(i)})
		all, ears = append(all, m), append(ears, e)
	}

	began := time.Now()
	var given, refused, unreasoned atomic.Int64
	var wg sync.WaitGroup
	for i, m := range mods {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(i)))
			for n := range int(lasts.Seconds()) * perSecond / moderators {
				time.Sleep(time.Until(began.Add(time.Duration(n) * time.Second * moderators / perSecond)))
				given.Add(1)
				if err := m.Order(stormOrder(rnd, all, n)); err != nil {
					refused.Add(1)
					if err.Error() == "" {
						unreasoned.Add(1)
					}
				}
			}
		})
	}
	stop := make(chan struct{})
	var churn sync.WaitGroup
	for i := range 10 {
		churn.Go(func() {
			for {
				m, e, err := admit(r, Caller{Name: fmt.Sprint("guest", i), Identity: fmt.Sprint("web:guest", i)})
				if err == nil {
					m.Order(moderation.Order{Action: moderation.Hand, On: true})
					m.Leave(EndLeft)
					e.wait(t, "ended", func() bool { return len(e.ended) == 1 })
				}
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	close(stop)
	churn.Wait()
	if took > lasts {
		t.Errorf("orders waited for something: %v instead of %v", took, lasts)
	}
	if unreasoned.Load() > 0 {
		t.Errorf("%d orders were refused without a reason", unreasoned.Load())
	}

	// The audit log, replayed, gives the state that the room shows.
	names, muted := make(map[string]string), make(map[string]bool)
	for _, e := range r.Audit(0) {
		if e.Result != audit.Done {
			continue
		}
		switch e.Order.Action {
		case moderation.Rename:
			names[e.Order.Target] = e.Order.Text
		case moderation.Mute:
			muted[e.Order.Target] = e.Order.On
		case moderation.MuteAll:
			for _, m := range all[moderators:] {
				muted[m.ID()] = e.Order.On
			}
		}
	}
	r.mu.Lock()
	r.changed() // what is sent from now on is at least as new as what is looked at
	info := r.snapshot()
	r.mu.Unlock()
	if len(info.Participants) != people {
		t.Errorf("%d participants, want %d", len(info.Participants), people)
	}
	activity := r.mix.Activity()
	for _, p := range info.Participants {
		if want, ok := names[p.ID]; ok && p.Name != want {
			t.Errorf("%s is called %q, the last order said %q", p.ID, p.Name, want)
		}
		if p.Muted != muted[p.ID] {
			t.Errorf("%s muted: %v, by the orders %v", p.Name, p.Muted, muted[p.ID])
		}
		if _, ok := activity[p.ID]; !ok {
			t.Errorf("%s is not in the mix", p.Name)
		}
	}
	sent := 0
	for i, e := range ears {
		e.waitInfo(t, "the last", func(got *Info) bool { return got.Serial >= info.Serial })
		e.mu.Lock()
		if most := int(time.Since(opened)/infoInterval) + 1; len(e.infos) > most {
			t.Errorf("%d infos, want at most %d", len(e.infos), most)
		}
		sent += len(e.infos)
		checkOrder(t, i, e.infos)
		e.mu.Unlock()
	}
	text, err := json.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d orders in %v, %d refused; %.1f infos a second to each, %d bytes each as JSON",
		given.Load(), took.Round(time.Millisecond), refused.Load(), float64(sent)/float64(len(ears))/took.Seconds(), len(text))
}

// stormOrder draws an order; n counts up, so that the order of effects can be seen.
func stormOrder(rnd *rand.Rand, all []*Member, n int) moderation.Order {
	target := all[rnd.IntN(len(all))].ID()
	on := rnd.IntN(2) == 0
	switch rnd.IntN(10) {
	case 0, 1, 2:
		return moderation.Order{Action: moderation.Mute, Target: all[5+rnd.IntN(len(all)-5)].ID(), On: on}
	case 3:
		return moderation.Order{Action: moderation.MuteAll, On: on}
	case 4:
		return moderation.Order{Action: moderation.Rename, Target: target, Text: fmt.Sprintf("n %d %s", n, target)}
	case 5:
		return moderation.Order{Action: moderation.Pin, Target: target, On: on}
	case 6:
		return moderation.Order{Action: moderation.SetLayout, Text: moderation.Words[moderation.Layout]()[rnd.IntN(4)]}
	case 7:
		return moderation.Order{Action: moderation.Hand, Target: target, On: on}
	case 8:
		return moderation.Order{Action: moderation.Remove, Target: "gone"}
	default:
		return moderation.Order{Action: moderation.Chat, Text: fmt.Sprint("line ", n)}
	}
}

// checkOrder looks whether an Info ever showed an older state than the one before.
func checkOrder(t *testing.T, who int, infos []*Info) {
	for i := 1; i < len(infos); i++ {
		if infos[i].Serial <= infos[i-1].Serial {
			t.Errorf("ear %d: info %d follows %d", who, infos[i].Serial, infos[i-1].Serial)
		}
	}
}

// Members come, order about each other, move their own state and go, from many
// goroutines, while meetings end and the host at last closes. Whoever was let in hears
// exactly one end.
func TestEverythingAtOnce(t *testing.T) {
	h := newHost(t, Config{Recorder: &recorder{}}, settings.Room{ID: "a", Recording: moderation.RecordAuto}, settings.Room{ID: "b", Lobby: true})
	rooms := h.Rooms()
	by := Operator{Name: "api", Role: moderation.Host}
	stop := make(chan struct{})
	var mu sync.Mutex
	var ears []*ear
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(2, uint64(g)))
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				c := proven(fmt.Sprint("x", rnd.IntN(6)), moderation.Role(rnd.IntN(5)))
				c.Session = fmt.Sprint(rnd.IntN(2))
				r := rooms[rnd.IntN(2)]
				m, e, err := admit(r, c)
				if err != nil {
					continue
				}
				mu.Lock()
				ears = append(ears, e)
				mu.Unlock()
				for range rnd.IntN(5) {
					info := r.Info()
					o := stormOrder(rnd, []*Member{m, m, m, m, m, m}, n)
					if len(info.Participants) > 0 {
						o.Target = info.Participants[rnd.IntN(len(info.Participants))].ID
					}
					switch rnd.IntN(12) {
					case 0:
						o = moderation.Order{Action: moderation.Move, Target: o.Target, Text: rooms[rnd.IntN(2)].ID()}
					case 1:
						o = moderation.Order{Action: moderation.Ban, Target: o.Target, On: true}
					case 2:
						o = moderation.Order{Action: moderation.AdmitAll}
					case 3:
						o = record([]string{"start", "stop", "pause", "resume"}[rnd.IntN(4)])
					}
					m.Order(o)
				}
				m.SetSelfMuted(n%2 == 0)
				m.SetConnection("WebRTC")
				if rnd.IntN(40) == 0 {
					r.Order(by, moderation.Order{Action: moderation.End})
				}
				if rnd.IntN(4) > 0 {
					m.Leave(EndLeft)
				}
			}
		})
	}
	time.Sleep(time.Second)
	go h.Close() // in the middle of it
	time.Sleep(100 * time.Millisecond)
	close(stop)
	wg.Wait()
	h.Close()
	for _, e := range ears {
		e.wait(t, "the end", func() bool { return len(e.ended) > 0 })
		e.mu.Lock()
		if len(e.ended) != 1 || len(e.late) > 0 {
			t.Errorf("ended %v, then heard %v", e.ended, e.late)
		}
		e.mu.Unlock()
	}
	if h.Participants() != 0 {
		t.Errorf("%d participants are left", h.Participants())
	}
	t.Logf("%d memberships", len(ears))
}
