package jami_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/conference"
	"rendezvous/conference/audit"
	"rendezvous/dht/value"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/mixer"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
	"rendezvous/signalling/jami"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/minutes"
	"rendezvous/swarm"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// patience is a deadline for what takes daemons seconds.
const patience = 60 * time.Second

// conversing is a host whose room has a conversation.
type conversing struct {
	t    *testing.T
	dir  string
	host *conference.Host
	door *jami.Door
	room *conference.Room
	id   string // of the room's account

	close func()

	mu    sync.Mutex
	chats []conference.Event
}

// openConversing starts one on a data folder, with the policy that the test wants.
func openConversing(t *testing.T, ctx context.Context, dir string, policy minutes.Policy, rc conference.RoomConfig) *conversing {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	h := &conversing{t: t, dir: dir}
	var err error
	h.host, err = conference.NewHost(conference.Config{Log: log, Mixer: mixer.Config{}, Rooms: []conference.RoomConfig{rc}, Events: h.event})
	if err != nil {
		t.Fatal(err)
	}
	metrics := prometheus.NewRegistry()
	door, err := jami.New(jami.Config{Log: log, Host: h.host, Dir: dir, Bootstrap: []string{jamilab.Bootstrap}, KeyBits: 2048,
		Policy:       func(string) account.Policy { return account.Policy{Requests: account.Automatic} },
		Conversation: func(string) (minutes.Policy, bool) { return policy, true },
		LegMetrics:   leg.NewMetrics(metrics), Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	h.door = door
	h.mu.Unlock()
	if err := h.door.Start(ctx); err != nil {
		t.Fatal(err)
	}
	h.close = sync.OnceFunc(func() {
		h.host.Close()
		if err := h.door.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(h.close)
	if err := h.door.WaitPublished(ctx, rc.ID); err != nil {
		t.Fatal(err)
	}
	h.id = h.door.Addresses(rc.ID)[0]
	if h.room, err = h.host.Room(rc.ID); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *conversing) event(e conference.Event) {
	h.mu.Lock()
	if e.Kind == conference.EventChat {
		h.chats = append(h.chats, e)
	}
	door := h.door
	h.mu.Unlock()
	if door != nil {
		door.Event(e)
	}
}

func (h *conversing) conversation() *swarm.Conversation {
	h.t.Helper()
	c := h.door.Minutes("lobby").Conversation()
	if c == nil {
		h.t.Fatal("the room has no conversation")
	}
	return c
}

func (h *conversing) repository(id string) string {
	return filepath.Join(h.dir, "lobby/conversations", id)
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(100 * time.Millisecond) { // between two looks
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// said waits for a line in the room's chat, and checks that it comes once.
func (h *conversing) said(door, name, text string) {
	h.t.Helper()
	count := func() (n int) {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, e := range h.chats {
			if e.Door == door && e.Name == name && e.Message.Text == text {
				n++
			}
		}
		return n
	}
	eventually(h.t, fmt.Sprintf("%s says %q in the room", name, text), func() bool { return count() > 0 })
	if n := count(); n != 1 {
		h.t.Errorf("%q was said %d times", text, n)
	}
}

// entries are those of a conversation, the newest first.
func (h *conversing) entries(match func(repo.Entry) bool) (out []repo.Entry) {
	h.t.Helper()
	all, err := h.conversation().Repository().Log(0)
	if err != nil {
		h.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(e repo.Entry) bool { return !match(e) })
}

func (h *conversing) role(uri string) repo.Role {
	h.t.Helper()
	k, err := value.ParseKey(uri)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.conversation().Repository().Role(k)
}

func (h *conversing) say(by, text string) {
	h.t.Helper()
	err := h.room.Order(conference.Operator{Name: by, Identity: "web:" + by, Door: "web", Role: moderation.Speaker}, moderation.Order{Action: moderation.Chat, Text: text})
	if err != nil {
		h.t.Fatal(err)
	}
}

// member is a daemon in a conversation.
type member struct {
	*jamilab.Peer
	t *testing.T
}

func members(t *testing.T, ctx context.Context, l *jamilab.Lab) (out []member, ids []value.Key) {
	t.Helper()
	for _, p := range l.Peers() {
		if err := p.NewAccount(ctx, p.Name(), nil); err != nil {
			t.Fatal(err)
		}
		k, err := value.ParseKey(p.URI)
		if err != nil {
			t.Fatal(err)
		}
		out, ids = append(out, member{p, t}), append(ids, k)
	}
	return out, ids
}

func (m member) call(method string, args []any, results ...any) {
	m.t.Helper()
	if err := m.Call(m.t.Context(), "ConfigurationManager."+method, args, results...); err != nil {
		m.t.Fatal(err)
	}
}

func (m member) wait(since int, signal string, match func(jamilab.Signal) bool) jamilab.Signal {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	s, err := m.Wait(ctx, since, signal, match)
	if err != nil {
		m.t.Fatal(err)
	}
	return s
}

// accept takes the invitation to a conversation.
func (m member) accept(id string) {
	m.t.Helper()
	m.wait(0, "conversationRequestReceived", func(s jamilab.Signal) bool { return s.Text(1) == id })
	m.call("acceptConversationRequest", []any{m.Account, id})
	m.wait(0, "conversationReady", func(s jamilab.Signal) bool { return s.Text(1) == id })
}

// write sends a message; about is the message that it replies to or edits, by flag 0 or 1.
func (m member) write(id, body, about string, flag int32) {
	m.t.Helper()
	m.call("sendMessage", []any{m.Account, id, body, about, flag})
}

// gets waits for a message with a field at the daemon, and returns all fields.
func (m member) gets(id, field, val string) map[string]string {
	m.t.Helper()
	return m.getsWhere(id, field+"="+val, func(f map[string]string) bool { return f[field] == val })
}

func (m member) getsWhere(id, what string, match func(map[string]string) bool) (out map[string]string) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	if _, err := m.Wait(ctx, 0, "messageReceived", func(s jamilab.Signal) bool {
		fields, ok := s.Args[2].(map[string]string)
		out = fields
		return ok && s.Text(1) == id && match(fields)
	}); err != nil {
		m.t.Fatalf("%s gets no %s: %v", m.Name(), what, err)
	}
	return out
}

// repository is where the daemon keeps a conversation.
func (m member) repository(id string) string {
	return filepath.Join(m.Home(), ".local/share/jami", m.Account, "conversations", id)
}

// complaints are what daemons log when they refuse something.
var complaints = []string{"Malformed", "alicious", "ould not validate", "couldn't be validated", "Verification failed", "is not valid", "Cannot validate", "Wrong", "Something wrong"}

// satisfied checks that the daemon has refused nothing of a conversation.
func (m member) satisfied() {
	m.t.Helper()
	log, err := os.ReadFile(m.LogFile())
	if err != nil {
		m.t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		for _, c := range complaints {
			if strings.Contains(line, c) && (strings.Contains(line, "conversation") || strings.Contains(line, "commit")) {
				m.t.Errorf("%s complains: %s", m.Name(), strings.TrimSpace(line))
			}
		}
	}
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	c := exec.Command("git", append([]string{"-C", dir}, args...)...)
	c.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commits lists the ids of all commits that are no merges: daemons keep theirs to themselves.
func commits(t *testing.T, dir string) string {
	t.Helper()
	ids := strings.Fields(git(t, dir, "log", "--no-merges", "--format=%H", "main"))
	slices.Sort(ids)
	return strings.Join(ids, "\n")
}

// same waits until the daemons have every commit that we have, and checks the repositories with
// git and by our own rules.
func (h *conversing) same(id string, m ...member) {
	h.t.Helper()
	for _, p := range m {
		eventually(h.t, p.Name()+" has what we have", func() bool {
			return commits(h.t, p.repository(id)) == commits(h.t, h.repository(id))
		})
		git(h.t, p.repository(id), "fsck", "--strict", "--no-dangling")
	}
	if out := git(h.t, h.repository(id), "fsck", "--strict", "--no-dangling"); out != "" {
		h.t.Errorf("git fsck: %s", out)
	}
}

// The room invites two daemons to its conversation, and what is said there and in the room is
// one chat. Commands of a moderator are obeyed; orders are on record.
func TestRoomsConversation(t *testing.T) {
	t.Parallel() // daemons mostly wait
	jamilab.Run(t, jamilab.Options{Peers: 2, Sound: true}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		m, ids := members(t, ctx, l)
		dir := t.TempDir()
		h := openConversing(t, ctx, dir, minutes.Policy{Mode: commit.InvitesOnly, Invite: minutes.InviteContacts, Members: ids, Join: minutes.JoinContacts},
			conference.RoomConfig{ID: "lobby", Title: "The Lobby", DefaultRole: moderation.Speaker, SelfUnmute: true,
				Roles: map[string]moderation.Role{"jami:" + m[0].URI: moderation.Moderator}})
		id := h.conversation().ID()
		for _, p := range m {
			p.accept(id)
			eventually(t, p.Name()+" joins", func() bool { return h.role(p.URI) == repo.Plain })
		}
		var infos map[string]string
		m[0].call("conversationInfos", []any{m[0].Account, id}, &infos)
		if infos["title"] != "The Lobby" || infos["rdvAccount"] != h.id || infos["rdvDevice"] == "" {
			t.Errorf("the daemon's information of the conversation: %v", infos)
		}

		// Room to daemons, daemons to room, daemon to daemon.
		h.say("Ann", "hello from the browser 👋")
		for _, p := range m {
			if got := p.gets(id, "body", "Ann: hello from the browser 👋"); got["author"] != h.id {
				t.Errorf("%s got %v", p.Name(), got)
			}
		}
		for i, p := range m {
			body := "hello from " + p.Name()
			p.write(id, body, "", 0)
			h.said("swarm", p.Name(), body)
			m[1-i].gets(id, "body", body)
		}
		first := m[1].gets(id, "body", "hello from p1")
		m[1].write(id, "indeed", first["id"], 0)
		h.said("swarm", "p2", "Re “hello from p1”: indeed")
		own := m[1].getsWhere(id, "own message", func(f map[string]string) bool { return f["body"] == "hello from p2" })
		m[1].write(id, "hello again", own["id"], 1)
		h.said("swarm", "p2", "(corrects) hello again")

		// Orders: of a moderator, and of somebody who is none.
		m[0].write(id, "/lock", "", 0)
		m[0].gets(id, "body", "Done.")
		if !h.room.Info().Locked {
			t.Error("the room is not locked by the moderator's command")
		}
		m[1].write(id, "/unlock", "", 0)
		m[1].gets(id, "body", "Your role (speaker) does not allow this.")
		if !h.room.Info().Locked {
			t.Error("the room was unlocked by a member who is no moderator")
		}
		var records []minutes.Record
		orders := m[1].gets(id, "type", minutes.TypeOrders)
		if err := json.Unmarshal([]byte(orders["orders"]), &records); err != nil {
			t.Fatalf("%v: %v", err, orders)
		}
		if len(records) != 2 || records[0].Order.Action != moderation.Lock || records[0].Result != "done" ||
			records[0].Identity != "jami:"+m[0].URI || records[1].Result != "refused" || records[1].Name != "p2" {
			t.Errorf("recorded orders %+v", records)
		}

		// The conversation's call, when there is none: the room's device is asked to host it.
		if err := h.room.Order(conference.Operator{Role: moderation.Host}, moderation.Order{Action: moderation.Lock}); err != nil {
			t.Fatal(err)
		}
		call, err := m[1].PlaceCall(ctx, "swarm:"+id, jamilab.Media(nil))
		if err != nil {
			t.Fatal(err)
		}
		if err := m[1].WaitCall(ctx, call, "CURRENT"); err != nil {
			t.Fatal(err)
		}
		if p := h.room.Info().Participants; len(p) != 1 || p[0].Identity != "jami:"+m[1].URI {
			t.Errorf("in the room by the conversation's call: %+v", p)
		}
		if err := m[1].HangUp(ctx, call); err != nil {
			t.Error(err)
		}
		if over := m[0].getsWhere(id, "the end of the meeting", func(f map[string]string) bool { return f["duration"] != "" }); over["attendees"] != "p2" {
			t.Errorf("the end of the meeting: %v", over)
		}

		// Nothing comes back, and all have the same.
		for _, e := range h.entries(func(e repo.Entry) bool { return e.Account.String() == h.id && e.Message.Type == commit.TypeText }) {
			if body := e.Message.Get("body"); strings.Contains(body, "p1") || strings.Contains(body, "p2") {
				t.Errorf("the room repeats %q", body)
			}
		}
		h.same(id, m...)

		// After a restart it is the same conversation, and one that was away catches up.
		if err := m[1].Stop(); err != nil {
			t.Fatal(err)
		}
		h.close()
		h = openConversing(t, ctx, dir, minutes.Policy{Mode: commit.InvitesOnly, Moderators: minutes.ModeratorsMembers}, conference.RoomConfig{ID: "lobby", Title: "The Lobby, renamed", DefaultRole: moderation.Speaker})
		if again := h.conversation().ID(); again != id {
			t.Fatalf("after a restart the conversation is %s, was %s", again, id)
		}
		h.say("Ann", "while you were away")
		m[0].gets(id, "body", "Ann: while you were away")
		// Now members are moderators, in meetings and in the conversation.
		if call, err = m[0].PlaceCall(ctx, h.id, jamilab.Media(nil)); err != nil {
			t.Fatal(err)
		}
		if err := m[0].WaitCall(ctx, call, "CURRENT"); err != nil {
			t.Fatal(err)
		}
		if p := h.room.Info().Participants; len(p) != 1 || p[0].Role != moderation.Moderator {
			t.Errorf("a member in the room: %+v", p)
		}
		m[0].write(id, "/announce by a member", "", 0)
		eventually(t, "the member's order", func() bool {
			all := h.room.Audit(0)
			return len(all) > 0 && slices.ContainsFunc(all, func(e audit.Entry) bool {
				return e.Order.Action == moderation.Announce && e.Result == audit.Done && e.Door == "swarm"
			})
		})
		if err := m[0].HangUp(ctx, call); err != nil {
			t.Error(err)
		}
		if err := m[1].Start(); err != nil {
			t.Fatal(err)
		}
		back := time.Now()
		eventually(t, "the one who was away catches up", func() bool {
			return strings.Contains(git(t, m[1].repository(id), "log", "--format=%B", "main"), "while you were away")
		})
		t.Logf("caught up after %v", time.Since(back))
		h.same(id, m...)
		for _, p := range m {
			p.satisfied()
		}
		if n, err := h.conversation().Repository().Verify(); err != nil {
			t.Error(err)
		} else {
			t.Logf("%d commits", n)
		}

		// Out of the room for good is out of the conversation.
		if err := h.room.Order(conference.Operator{Name: "Host", Door: "api", Role: moderation.Host},
			moderation.Order{Action: moderation.Ban, Target: "jami:" + m[1].URI, On: true, Text: "forever"}); err != nil {
			t.Fatal(err)
		}
		m[0].getsWhere(id, "the ban", func(f map[string]string) bool { return f["action"] == "ban" && f["uri"] == m[1].URI })
		if role := h.role(m[1].URI); role != repo.Banned {
			t.Errorf("the banned is %q", role)
		}
		h.same(id, m[0])
		m[0].satisfied()
	})
}

// A contact is invited to the room's conversation. What he writes beside his call to the room, in
// the one-to-one conversation with it, is said to all; when he is not in the room it is between the two.
func TestContactChatsBesideHisCall(t *testing.T) {
	t.Parallel() // daemons mostly wait
	jamilab.Run(t, jamilab.Options{Peers: 1, Sound: true}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		p := member{l.Peer(1), t}
		if err := p.NewAccount(ctx, p.Name(), map[string]string{"Account.autoAnswer": "true"}); err != nil {
			t.Fatal(err)
		}
		h := openConversing(t, ctx, t.TempDir(), minutes.Policy{Invite: minutes.InviteContacts, Join: minutes.JoinNever},
			conference.RoomConfig{ID: "lobby", Title: "The Lobby", DefaultRole: moderation.Speaker})
		p.call("addContact", []any{p.Account, h.id})
		p.call("sendTrustRequest", []any{p.Account, h.id, []byte{}})
		var one string
		eventually(t, "the one-to-one conversation", func() bool {
			list, err := os.ReadDir(filepath.Join(h.dir, "lobby/conversations"))
			for _, e := range list {
				if e.IsDir() && len(e.Name()) == 40 && e.Name() != h.conversation().ID() {
					one = e.Name()
				}
			}
			return err == nil && one != "" && strings.Contains(git(t, h.repository(one), "log", "--format=%B", "main"), `"join"`)
		})
		id := h.conversation().ID()
		p.accept(id)
		eventually(t, "the contact joins the room's conversation", func() bool { return h.role(p.URI) == repo.Plain })

		p.write(one, "not in the room yet", "", 0)
		call, err := p.PlaceCall(ctx, h.id, jamilab.Media(nil))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.WaitCall(ctx, call, "CURRENT"); err != nil {
			t.Fatal(err)
		}
		// Commits have whole seconds.
		eventually(t, "the next second", func() bool { return time.Now().After(h.room.Info().Participants[0].Joined.Add(time.Second)) })
		p.write(one, "now I am", "", 0)
		h.said("jami", "p1", "now I am")
		p.gets(id, "body", "p1: now I am")
		if err := p.HangUp(ctx, call); err != nil {
			t.Error(err)
		}
		p.getsWhere(id, "the end of the meeting", func(f map[string]string) bool { return f["duration"] != "" })
		if log := git(t, h.repository(id), "log", "--format=%B", "main"); strings.Contains(log, "not in the room yet") || strings.Count(log, "now I am") != 1 {
			t.Errorf("the room's conversation:\n%s", log)
		}

		// The room calls him, on a channel that messages travel on as well.
		if err := h.door.Dial(ctx, h.room, p.URI); err != nil {
			t.Fatal(err)
		}
		if n := len(h.room.Info().Participants); n != 1 {
			t.Errorf("%d participants, want the called one", n)
		}
		h.say("Ann", "hello to the called one")
		p.gets(id, "body", "Ann: hello to the called one")
		p.write(id, "I have been called", "", 0)
		h.said("swarm", "p1", "I have been called")
		p.satisfied()
	})
}
