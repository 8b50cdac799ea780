package e2e

import (
	"bytes"
	"context"
	"crypto/sha3"
	"encoding/json"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rendezvous/internal/lab/browser"
	"rendezvous/internal/lab/gitrepo"
	"rendezvous/internal/lab/jamilab"
)

// until waits until ok. Looks run git and the command line here, so there are fewer than those of package eventually.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); !ok(); time.Sleep(200 * time.Millisecond) { // between two looks
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// conversation is the room's own, by its file.
func (h *host) conversation() (id string) {
	h.t.Helper()
	until(h.t, "the room's conversation", func() bool {
		var state struct{ Conversation string }
		text, err := os.ReadFile(filepath.Join(h.dir, "data/jami/main/conversation.json"))
		id = state.Conversation
		if err == nil && json.Unmarshal(text, &state) == nil {
			id = state.Conversation
		}
		return id != ""
	})
	return id
}

// A meeting of a browser and a Jami daemon, as it is kept in the room's conversation: the daemon
// joins by the conversation's call, chat goes both ways, the recording, encrypted on the host's disk,
// reaches a member as a file in the clear, also when the data folder was moved since it was archived, and its deletion is told.
func TestConversationOfARoom(t *testing.T) {
	t.Parallel() // daemons mostly wait
	jamilab.Run(t, jamilab.Options{Peers: 2, Sound: true}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Minute)
		defer cancel()
		dir := t.TempDir()
		m := jamilab.Members(t, l)
		h := startHost(t, recordsByItself, "RENDEZVOUS_JAMI_ENABLED=true", "RENDEZVOUS_JAMI_BOOTSTRAP="+jamilab.Bootstrap, "RENDEZVOUS_JAMI_STUN=",
			"RENDEZVOUS_ROOMS_MAIN_CONVERSATION_MEMBERS="+m[0].URI+","+m[1].URI, "RENDEZVOUS_RECORDINGS_KEY_FILE="+keyFile(t))
		room := h.jamiID(t)
		id := h.conversation()
		ours := filepath.Join(h.dir, "data/jami/main/conversations")
		// One after the other: when two join at once, this daemon cannot check the other's joining, as it
		// looks for its device where it is only afterwards, and gets no further ("Can't read file").
		for _, p := range m {
			p.Accept(id)
			until(t, p.Name()+" has joined", func() bool {
				return strings.Contains(gitrepo.Git(t, filepath.Join(ours, id), "ls-tree", "-r", "--name-only", "main"), "members/"+p.URI)
			})
		}

		// The meeting.
		ann, err := browser.Start(ctx, browser.Options{Color: red, Tone: toneA})
		if err != nil {
			t.Fatal(err)
		}
		leave := sync.OnceFunc(func() { ann.Close() })
		defer leave()
		if err := ann.Join(h.url(), "Ann", ""); err != nil {
			t.Fatal(err)
		}
		began := m[0].GetsWhere(id, "the meeting's beginning", func(f map[string]string) bool { return f["confId"] != "" && f["duration"] == "" })
		if began["uri"] != room {
			t.Errorf("the meeting's beginning: %v", began)
		}
		d := &daemon{Peer: m[0].Peer, tone: 500, color: color.RGBA{30, 160, 40, 255}}
		d.speak(t, ctx, l, dir)
		source := clip(t, dir, d.Name(), d.color, "640x360")
		if err := d.OpenVideo(ctx, source); err != nil {
			t.Fatal(err)
		}
		mark := d.Mark()
		if d.call, err = d.PlaceCall(ctx, "swarm:"+id, jamilab.Media(&source)); err != nil {
			t.Fatalf("the conversation's call: %v", err)
		}
		if err := d.WaitCall(ctx, d.call, "CURRENT"); err != nil {
			t.Fatalf("the conversation's call: %v", err)
		}
		if err := ann.WaitPeople(2, 30*time.Second); err != nil {
			t.Fatalf("Ann does not see the daemon: %v", err)
		}
		waitColors(t, ann, "Ann", red, d.Name(), d.color)
		// Whoever calls is told that the meeting is recorded, and only then seen, and heard.
		if _, err := d.Wait(ctx, mark, "incomingMessage", func(s jamilab.Signal) bool { return strings.Contains(s.String(), "This meeting is being recorded.") }); err != nil {
			t.Errorf("the daemon is not told of the recording: %v", err)
		}

		// Chat.
		if err := ann.Eval(`document.querySelector('[data-pane=chat]').click()`, nil); err != nil {
			t.Fatal(err)
		}
		if err := ann.Type(".chat-form textarea", "Good morning\r"); err != nil {
			t.Fatal(err)
		}
		for _, p := range m {
			p.GetsWhere(id, "Ann's line", func(f map[string]string) bool { return f["body"] == "Ann: Good morning" })
		}
		m[1].Say(id, "I read along from outside")
		if err := ann.WaitFor(`[...document.querySelectorAll('.message')].some((e) => e.querySelector('.by').textContent === 'p2' && e.querySelector('.said').textContent === 'I read along from outside')`, 90*time.Second); err != nil {
			t.Errorf("Ann does not read p2's line: %v", err)
		}
		checkHears(t, "Ann", ann, toneA, d.tone)
		if err := ann.Screenshot(filepath.Join(artefacts(t), "conversation-ann.png")); err != nil {
			t.Error(err)
		}
		if err := d.HangUp(ctx, d.call); err != nil {
			t.Error(err)
		}
		if err := ann.Press("Leave"); err != nil {
			t.Error(err)
		}
		leave()

		// What is left of it.
		over := m[1].GetsWhere(id, "the meeting's end", func(f map[string]string) bool { return f["confId"] == began["confId"] && f["duration"] != "" })
		if ms, err := strconv.Atoi(over["duration"]); err != nil || ms < 3000 || ms > 120_000 {
			t.Errorf("the meeting's end: %v", over)
		}
		if text := gitrepo.Git(t, filepath.Join(ours, id), "show", "-s", "--format=%B", over["id"]); !strings.Contains(text, `"attendees":"Ann, p1"`) {
			t.Errorf("the meeting's end: %s", text)
		}
		film := m[1].GetsWhere(id, "the recording", func(f map[string]string) bool { return strings.HasSuffix(f["displayName"], ".mp4") })
		sidecar := m[1].GetsWhere(id, "its sidecar", func(f map[string]string) bool { return strings.HasSuffix(f["displayName"], ".json") })
		t.Logf("recording %v\nsidecar %v", film, sidecar)
		// The host moves, with its data folder, before anybody has fetched them.
		h.stop()
		if err := os.Rename(h.dir, h.dir+"-moved"); err != nil {
			t.Fatal(err)
		}
		h.dir += "-moved"
		h.site.Dir, ours = h.dir, filepath.Join(h.dir, "data/jami/main/conversations")
		h.start()
		h.Await(`"Jami account announced"`)
		m[1].Say(id, "There you are again")
		until(t, "the room hears of its members again", func() bool {
			return strings.Contains(gitrepo.Git(t, filepath.Join(ours, id), "log", "--format=%B", "main"), "There you are again")
		})
		got := m[1].Download(id, film["id"], film["fileId"], filepath.Join(dir, "film.mp4"))
		if sum := sha3.Sum512(got); fmt.Sprintf("%x", sum) != film["sha3sum"] {
			t.Error("the film's hash is wrong at the daemon")
		}
		r, path := h.finished(t)
		if got := fmt.Sprintf("%x", sha3.Sum512(got)); got != r.Files[0].SHA3 {
			t.Errorf("the daemon's film has the hash %s, the catalogue's %s", got, r.Files[0].SHA3)
		}
		if raw, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(raw, []byte("RVSEAL")) {
			t.Errorf("the film lies open on the disk: %v", err)
		}
		checkRecording(t, filepath.Join(dir, "film.mp4"), []color.RGBA{red, d.color}, toneA, d.tone)
		var about struct{ ID string }
		if err := json.Unmarshal(m[1].Download(id, sidecar["id"], sidecar["fileId"], filepath.Join(dir, "film.json")), &about); err != nil || about.ID != r.ID {
			t.Errorf("the sidecar at the daemon is about %q, want %q: %v", about.ID, r.ID, err)
		}

		// A conversation of others.
		var group string
		m[0].Do("startConversation", []any{m[0].Account}, &group)
		m[0].Say(group, "before you came")
		m[0].Do("addConversationMember", []any{m[0].Account, group, room})
		until(t, "the room joins the daemon's group", func() bool {
			_, err := os.Stat(filepath.Join(ours, group, "objects"))
			return err == nil && strings.Contains(gitrepo.Git(t, filepath.Join(ours, group), "log", "--format=%B", "main"), "before you came")
		})
		m[0].Say(group, "and after")
		until(t, "the group is the same here and there", func() bool {
			return gitrepo.Commits(t, filepath.Join(ours, group)) == gitrepo.Commits(t, m[0].Repository(group)) &&
				strings.Contains(gitrepo.Git(t, filepath.Join(ours, group), "log", "--format=%B", "main"), "and after")
		})
		if log := gitrepo.Git(t, filepath.Join(ours, id), "log", "--format=%B", "main"); strings.Contains(log, "and after") {
			t.Error("what was said in another conversation is in the room's")
		}

		// The retention.
		file := filepath.Join(h.dir, "config.yaml")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(text), "max_age: 0s ", "max_age: 1s ", 1)
		if changed == string(text) {
			t.Fatal("config.yaml has no max_age: 0s")
		}
		if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		h.Signal(syscall.SIGHUP)
		gone := m[1].GetsWhere(id, "word of the deletion", func(f map[string]string) bool { return f["reply-to"] == film["id"] })
		if !strings.Contains(gone["body"], "has been deleted") {
			t.Errorf("after the retention: %v", gone)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("the file is still there: %v", err)
		}

		// Everything is in order, for git, for the daemons, and for the command.
		for _, p := range m {
			until(t, p.Name()+" has the same", func() bool {
				return gitrepo.Commits(t, p.Repository(id)) == gitrepo.Commits(t, filepath.Join(ours, id))
			})
			gitrepo.Git(t, p.Repository(id), "fsck", "--strict", "--no-dangling")
			p.Satisfied()
		}
		if out := gitrepo.Git(t, filepath.Join(ours, id), "fsck", "--strict", "--no-dangling"); out != "" {
			t.Errorf("git fsck: %s", out)
		}
		out, err := h.ask("swarm", "verify", "main")
		if err != nil || !strings.Contains(string(out), id) || !strings.Contains(string(out), group) {
			t.Errorf("swarm verify: %s %v", out, err)
		}
		if out, err = h.ask("swarm", "log", "main"); err != nil || !strings.Contains(string(out), `"Ann: Good morning"`) || strings.Contains(string(out), `"before you came"`) {
			t.Errorf("swarm log: %s %v", out, err)
		}
	})
}
