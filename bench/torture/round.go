package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	startPatience = 30 * time.Second // until the host is ready
	keptPatience  = 30 * time.Second // until what waits on the disk is where it belongs
	// memberPatience is how long it may take until the other member has all: heads are compared every 90 s at the latest.
	memberPatience = 2 * time.Minute
	mendPatience   = 90 * time.Second // until nothing is out of order: accounts are made one after the other
	// mostLost is how much of a recording may be missing at its end: it is synced every two seconds, in fragments of one.
	mostLost = 3500 * time.Millisecond
)

// run lets people meet for a while, does a round's fault to the host, and looks at what is left.
func (h *host) run(ctx context.Context, r *round, random *rand.Rand) {
	if err := h.meet(ctx); err != nil {
		r.fail("%v", err)
	}
	stop := h.load(ctx, random)
	h.pause(ctx, random, 2*time.Second, 8*time.Second)
	if _, _, err := h.seen(); err != nil {
		r.fail("%v", err)
	}
	at := time.Now()
	pause := func(least, most time.Duration) { h.pause(ctx, random, least, most) }
	var err error
	switch r.fault {
	case clockSet:
		err = h.step(r, random, func() { pause(500*time.Millisecond, 3*time.Second) })
		stop()
	case parted:
		err = h.part(pause)
		stop()
	case killed:
		h.kill()
		stop()
	case powerCut:
		if h.member != nil { // it hears nothing of what comes after the copy
			err = h.member.link(false)
		}
		h.gate.Lock()
		kept := h.model.copy()
		at = time.Now()
		err = errors.Join(err, h.disk.copy())
		h.gate.Unlock()
		stop()
		h.kill()
		if err == nil {
			err = h.disk.cut()
		}
		h.model = kept
	case fullDisk, fullKill:
		err = h.disk.fill()
		h.pause(ctx, random, time.Second, 5*time.Second)
		if r.fault == fullKill {
			h.kill()
		}
		stop()
	}
	if err != nil {
		r.fail("the fault could not be made: %v", err)
	}
	if h.proc == nil {
		began := time.Now()
		if err := h.start(ctx); err != nil {
			r.fail("the start is refused: %v", err)
			r.dead = true
			return
		}
		if r.start = time.Since(began); r.start > startPatience {
			r.fail("ready only after %v", r.start)
		}
	}
	if r.fault == fullDisk || r.fault == fullKill {
		if err := h.disk.free(); err != nil {
			r.fail("the fault could not be ended: %v", err)
		}
	}
	if h.member != nil {
		h.checkMember(ctx, r)
	}
	h.check(ctx, r)
	h.checkRecordings(ctx, r, at)
}

func (h *host) pause(ctx context.Context, random *rand.Rand, least, most time.Duration) {
	select {
	case <-time.After(least + time.Duration(random.Int64N(int64(most-least)))):
	case <-ctx.Done():
	}
}

// check compares what the host has with what it has acknowledged.
func (h *host) check(ctx context.Context, r *round) {
	if err := wait(ctx, mendPatience, "not in order", func() (bool, error) {
		health := h.health()
		return health == "ok", fmt.Errorf("%s", health)
	}); err != nil {
		r.fail("%v", err)
	}
	r.acked = h.model.acked
	readers := map[string]func() (map[string]int, error){chats: h.chats, audits: h.audits, bans: h.bans, rooms: h.rooms, contacts: h.contacts}
	for _, kind := range kinds {
		var has map[string]int
		var wrong []string
		err := wait(ctx, keptPatience, "not as acknowledged", func() (bool, error) {
			var err error
			if has, err = readers[kind](); err != nil {
				wrong = nil
				return false, err
			}
			wrong = h.model.compare(kind, has)
			return len(wrong) == 0, nil
		})
		switch {
		case len(wrong) > 0:
			r.failures = append(r.failures, wrong...)
			h.model.forget(kind, has)
		case err != nil:
			r.fail("%s: %v", kind, err)
		}
		if r.start > 0 || kind != bans { // one that could not be saved holds until the next start, and may be saved with others
			h.model.settle(kind, has)
		}
	}
	if out, stderr, err := h.site.Run("swarm", "verify", "main"); err != nil {
		r.fail("the conversation is damaged: %v: %s%s", err, out, stderr)
	}
}

var lineNames = regexp.MustCompile(`line-[0-9]{9}`)

// chats are the lines in the room's conversation.
func (h *host) chats() (map[string]int, error) {
	out, stderr, err := h.site.Run("swarm", "export", "main")
	if err != nil {
		return nil, fmt.Errorf("swarm export: %w: %s", err, stderr)
	}
	return lines(out), nil
}

// lines counts those in a text.
func lines(text string) map[string]int {
	has := map[string]int{}
	for _, line := range lineNames.FindAllString(text, -1) {
		has[line]++
	}
	return has
}

// audits are the announcements in the audit.
func (h *host) audits() (map[string]int, error) {
	has := map[string]int{}
	for _, name := range []string{"audit.jsonl.1", "audit.jsonl"} {
		b, err := os.ReadFile(h.site.Data(name))
		if err != nil && !os.IsNotExist(err) {
			return nil, err
		}
		for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
			var e struct {
				Order struct{ Action, Text string }
			}
			if json.Unmarshal(s.Bytes(), &e) == nil && e.Order.Action == "announce" {
				has[e.Order.Text]++
			}
		}
	}
	return has, nil
}

func (h *host) bans() (map[string]int, error) {
	b, err := os.ReadFile(h.site.Data("bans.json"))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []struct{ Identity string }
	err = json.Unmarshal(b, &list)
	has := map[string]int{}
	for _, ban := range list {
		has[ban.Identity]++
	}
	return has, err
}

// rooms are those made at run time. The one of the configuration must have the account that it had.
func (h *host) rooms() (map[string]int, error) {
	var list []struct {
		ID        string
		Addresses []string
	}
	if err := h.get("/rooms", &list); err != nil {
		return nil, err
	}
	has := map[string]int{}
	for _, r := range list {
		has[r.ID]++
		if r.ID != "main" {
			continue
		}
		i := slices.IndexFunc(r.Addresses, func(a string) bool { return len(a) == 40 })
		switch {
		case i < 0:
			return nil, fmt.Errorf("the room has no Jami account")
		case h.jami == "":
			h.jami = r.Addresses[i]
		case h.jami != r.Addresses[i]:
			return nil, fmt.Errorf("the room has another Jami account: %s, not %s", r.Addresses[i], h.jami)
		}
	}
	return has, nil
}

func (h *host) contacts() (map[string]int, error) {
	var list []struct{ ID string }
	if err := h.get("/rooms/main/contacts", &list); err != nil {
		return nil, err
	}
	has := map[string]int{}
	for _, c := range list {
		has[c.ID]++
	}
	return has, nil
}

// checkRecordings looks at the recordings that there were: none may be gone, and the one that a fault has cut off must play nearly to that
// moment.
func (h *host) checkRecordings(ctx context.Context, r *round, at time.Time) {
	before := maps.Clone(h.recordings)
	now := map[string]recording{}
	err := wait(ctx, keptPatience, "a recording is not finished", func() (bool, error) {
		all, _, err := h.seen()
		clear(now)
		for _, rec := range all {
			now[rec.ID] = rec
		}
		return err == nil && !slices.ContainsFunc(all, func(rec recording) bool { return rec.State == "recovering" }), err
	})
	if err != nil {
		r.fail("%v", err)
	}
	for id, was := range before {
		is, ok := now[id]
		if was.Started.After(at) {
			continue // of what was after the power cut, nothing is there
		}
		if !ok {
			r.fail("the recording %s is gone", id)
			continue
		}
		if was.State != "running" || is.State == "running" || r.fault != killed && r.fault != powerCut {
			continue
		}
		lasted := at.Sub(was.Started)
		plays, err := playing(h.site.Data(filepath.Join("recordings", "main", id, "meeting.mp4")))
		if err != nil && lasted > mostLost {
			r.fail("the recording %s does not play: %v", id, err)
			continue
		}
		r.lost = max(r.lost, lasted-plays)
		if lasted-plays > mostLost {
			r.fail("the recording %s (%s) plays %.1f s of %.1f s", id, is.State, plays.Seconds(), lasted.Seconds())
		}
	}
	clear(h.recordings)
	maps.Copy(h.recordings, now)
}

// playing is how long ffprobe says that a film plays.
func playing(film string) (time.Duration, error) {
	out, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", film).CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, text)
	}
	seconds, err := strconv.ParseFloat(text, 64)
	return time.Duration(seconds * float64(time.Second)), err
}
