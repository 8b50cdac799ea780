package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// load speaks, orders, makes rooms and bans accounts until what it returns is called: that waits until nothing is under way.
func (h *host) load(ctx context.Context, random *rand.Rand) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	first := h.next
	h.next += 1_000_000 // more than there is time for
	every := func(pause time.Duration, do func(n int, r *rand.Rand)) {
		r := rand.New(rand.NewPCG(random.Uint64(), random.Uint64()))
		wg.Go(func() {
			for n := first; ctx.Err() == nil; n++ {
				do(n, r)
				select {
				case <-time.After(time.Duration(r.Int64N(int64(2 * pause)))):
				case <-ctx.Done():
				}
			}
		})
	}
	every(60*time.Millisecond, func(n int, _ *rand.Rand) {
		line := fmt.Sprintf("line-%09d", n)
		h.ask(chats, line, there, http.MethodPost, "/rooms/main/chat", map[string]any{"text": line})
	})
	every(60*time.Millisecond, func(n int, _ *rand.Rand) {
		note := fmt.Sprintf("note-%09d", n)
		h.ask(audits, note, there, http.MethodPost, "/rooms/main/orders", map[string]any{"action": "announce", "text": note})
	})
	ban := func(who string, on bool) map[string]any {
		return map[string]any{"action": "ban", "target": who, "on": on, "text": "forever"}
	}
	every(200*time.Millisecond, func(n int, r *rand.Rand) {
		if r.IntN(3) > 0 {
			who := fmt.Sprintf("web:guest-%09d", n)
			h.ask(bans, who, there, http.MethodPost, "/rooms/main/orders", ban(who, true))
			return
		}
		h.takeBack(bans, r, func(who string) { h.ask(bans, who, gone, http.MethodPost, "/rooms/main/orders", ban(who, false)) })
	})
	every(2*time.Second, func(n int, r *rand.Rand) { // each gets an account, whose keys cost seconds
		if r.IntN(2) > 0 {
			id := fmt.Sprintf("made-%09d", n)
			h.ask(rooms, id, there, http.MethodPost, "/rooms", map[string]any{"id": id})
			return
		}
		h.takeBack(rooms, r, func(id string) { h.ask(rooms, id, gone, http.MethodDelete, "/rooms/"+id, nil) })
	})
	every(400*time.Millisecond, func(n int, r *rand.Rand) {
		if r.IntN(3) > 0 {
			id := hex.EncodeToString(fmt.Appendf(nil, "contact-%012d", n))
			h.ask(contacts, id, there, http.MethodPost, "/rooms/main/contacts", map[string]any{"id": id, "banned": true})
			return
		}
		h.takeBack(contacts, r, func(id string) { h.ask(contacts, id, gone, http.MethodDelete, "/rooms/main/contacts/"+id, nil) })
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// ask asks the host for something and notes whether it has acknowledged it.
func (h *host) ask(kind, what string, then certainty, method, path string, body any) {
	h.model.asked(kind, what)
	if _, err := h.request(method, path, body); err == nil {
		h.model.set(kind, what, then)
	}
}

// takeBack has something taken back that is there, unless the disk is being copied.
func (h *host) takeBack(kind string, r *rand.Rand, do func(what string)) {
	h.gate.RLock()
	defer h.gate.RUnlock()
	if what := h.model.some(kind, r.IntN); what != "" {
		do(what)
	}
}
