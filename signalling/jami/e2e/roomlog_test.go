package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/conference"
	"rendezvous/conference/audit"
	"rendezvous/conference/settings"
	"rendezvous/conference/settings/settingstest"
	"rendezvous/dht/value"
	"rendezvous/internal/lab/gitrepo"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/mixer"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
	"rendezvous/signalling/jami"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/roomlog"
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
func openConversing(t *testing.T, ctx context.Context, dir string, policy roomlog.Policy, rc settings.Room) *conversing {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	h := &conversing{t: t, dir: dir}
	var err error
	h.host, err = conference.NewHost(conference.Config{Log: log, Mixer: mixer.Config{}, Rooms: settingstest.Rooms(rc), Events: h.event})
	if err != nil {
		t.Fatal(err)
	}
	metrics := prometheus.NewRegistry()
	door, err := jami.New(jami.Config{Log: log, Host: h.host, Dir: dir, Bootstrap: []string{jamilab.Bootstrap}, KeyBits: 2048,
		Policy:       func(string) account.Policy { return account.Policy{Requests: settings.RequestsAutomatic} },
		Conversation: func(string) (roomlog.Policy, bool) { return policy, true },
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
	c := h.door.RoomLog("lobby").Conversation()
	if c == nil {
		h.t.Fatal("the room has no conversation")
	}
	return c
}

func (h *conversing) repository(id string) string {
	return filepath.Join(h.dir, "lobby/conversations", id)
}

// eventually waits until ok. Looks run git here, so there are fewer than those of package eventually: daemons need the CPU.
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

// field is one of a message that a daemon got, by our own copy of it: newer daemons tell only
// of fields that they know.
func (h *conversing) field(got map[string]string, name string) string {
	h.t.Helper()
	all := h.entries(func(e repo.Entry) bool { return e.ID.String() == got["id"] })
	if len(all) != 1 {
		h.t.Fatalf("%d entries with the id of %v", len(all), got)
	}
	return all[0].Message.Get(name)
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

// members makes an account for each daemon of a lab.
func members(t *testing.T, l *jamilab.Lab) (out []jamilab.Member, ids []value.Key) {
	t.Helper()
	out = jamilab.Members(t, l)
	for _, m := range out {
		k, err := value.ParseKey(m.URI)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, k)
	}
	return out, ids
}

// same waits until the daemons have every commit that we have, and checks the repositories with
// git and by our own rules.
func (h *conversing) same(id string, m ...jamilab.Member) {
	h.t.Helper()
	for _, p := range m {
		eventually(h.t, p.Name()+" has what we have", func() bool {
			return gitrepo.Commits(h.t, p.Repository(id)) == gitrepo.Commits(h.t, h.repository(id))
		})
		gitrepo.Git(h.t, p.Repository(id), "fsck", "--strict", "--no-dangling")
	}
	if out := gitrepo.Git(h.t, h.repository(id), "fsck", "--strict", "--no-dangling"); out != "" {
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
		m, ids := members(t, l)
		dir := t.TempDir()
		h := openConversing(t, ctx, dir, roomlog.Policy{Mode: commit.InvitesOnly, Invite: settings.InviteContacts, Members: ids, Join: settings.JoinContacts},
			settings.Room{ID: "lobby", Title: "The Lobby", SelfUnmute: true, Roles: settings.Roles{Moderator: []string{"jami:" + m[0].URI}}})
		id := h.conversation().ID()
		for _, p := range m {
			p.Accept(id)
			eventually(t, p.Name()+" joins", func() bool { return h.role(p.URI) == repo.Plain })
		}
		// Asked for the conversation's information, a daemon that gets the invitation once more after it
		// has accepted answers with what stands in that, for good: its repository is looked at.
		eventually(t, "p1 knows of the room in the conversation's information", func() bool {
			theirs := m[0].Repository(id)
			if !strings.Contains(gitrepo.Git(t, theirs, "ls-tree", "--name-only", "main"), "profile.vcf") {
				return false
			}
			card := gitrepo.Git(t, theirs, "show", "main:profile.vcf")
			return strings.Contains(card, "The Lobby") && strings.Contains(card, h.id)
		})

		// Room to daemons, daemons to room, daemon to daemon.
		h.say("Ann", "hello from the browser 👋")
		for _, p := range m {
			if got := p.Gets(id, "body", "Ann: hello from the browser 👋"); got["author"] != h.id {
				t.Errorf("%s got %v", p.Name(), got)
			}
		}
		for i, p := range m {
			body := "hello from " + p.Name()
			p.Write(id, body, "", 0)
			h.said("swarm", p.Name(), body)
			m[1-i].Gets(id, "body", body)
		}
		first := m[1].Gets(id, "body", "hello from p1")
		m[1].Write(id, "indeed", first["id"], 0)
		h.said("swarm", "p2", "Re “hello from p1”: indeed")
		own := m[1].GetsWhere(id, "own message", func(f map[string]string) bool { return f["body"] == "hello from p2" })
		m[1].Write(id, "hello again", own["id"], 1)
		h.said("swarm", "p2", "(corrects) hello again")

		// Orders: of a moderator, and of somebody who is none.
		m[0].Write(id, "/lock", "", 0)
		m[0].Gets(id, "body", "Done.")
		if !h.room.Info().Locked {
			t.Error("the room is not locked by the moderator's command")
		}
		m[1].Write(id, "/unlock", "", 0)
		m[1].Gets(id, "body", "Your role (speaker) does not allow this.")
		if !h.room.Info().Locked {
			t.Error("the room was unlocked by a member who is no moderator")
		}
		var records []roomlog.Record
		orders := m[1].Gets(id, "type", roomlog.TypeOrders)
		if err := json.Unmarshal([]byte(h.field(orders, "orders")), &records); err != nil {
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
		if over := m[0].GetsWhere(id, "the end of the meeting", func(f map[string]string) bool { return f["duration"] != "" }); h.field(over, "attendees") != "p2" {
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
		m[0].Write(id, "while the room was away", "", 0)
		h = openConversing(t, ctx, dir, roomlog.Policy{Mode: commit.InvitesOnly, Moderators: settings.ModeratorsMembers}, settings.Room{ID: "lobby", Title: "The Lobby, renamed"})
		if again := h.conversation().ID(); again != id {
			t.Fatalf("after a restart the conversation is %s, was %s", again, id)
		}
		eventually(t, "the room catches up", func() bool {
			return len(h.entries(func(e repo.Entry) bool { return e.Message.Get("body") == "while the room was away" })) == 1
		})
		h.say("Ann", "while you were away")
		m[0].Gets(id, "body", "Ann: while you were away")
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
		m[0].Write(id, "/announce by a member", "", 0)
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
			return strings.Contains(gitrepo.Git(t, m[1].Repository(id), "log", "--format=%B", "main"), "while you were away")
		})
		t.Logf("caught up after %v", time.Since(back))
		h.same(id, m...)
		for _, p := range m {
			p.Satisfied()
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
		m[0].GetsWhere(id, "the ban", func(f map[string]string) bool { return f["action"] == "ban" && f["uri"] == m[1].URI })
		if role := h.role(m[1].URI); role != repo.Banned {
			t.Errorf("the banned is %q", role)
		}
		h.same(id, m[0])
		m[0].Satisfied()
	})
}

// Whom a moderator makes a contact is asked to take the room for one, too, and is invited to its
// conversation when they have, although their client takes nothing from strangers.
func TestRoomAsksForAContact(t *testing.T) {
	t.Parallel() // daemons mostly wait
	jamilab.Run(t, jamilab.Options{Peers: 1}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		p := l.Peer(1).Member(t)
		if err := jamilab.Accounts(ctx, p.Peer); err != nil {
			t.Fatal(err)
		}
		if err := p.Set(ctx, map[string]string{"DHT.PublicInCalls": "false"}); err != nil {
			t.Fatal(err)
		}
		h := openConversing(t, ctx, t.TempDir(), roomlog.Policy{Invite: settings.InviteContacts, Join: settings.JoinNever},
			settings.Room{ID: "lobby", Title: "The Lobby"})
		if err := h.door.AddContact("lobby", p.URI); err != nil {
			t.Fatal(err)
		}
		request := p.Hears(0, "incomingTrustRequest", "the request", func(s jamilab.Signal) bool { return s.Text(2) == h.id })
		if card, _ := request.Args[3].([]byte); !strings.Contains(string(card), "FN:The Lobby") {
			t.Errorf("the request comes with %q", card)
		}
		// The daemon tells of the request before it has noted the conversation of the two that is in it: whoever
		// accepts in between, as no person can, never gets that one.
		p.Hears(0, "conversationRequestReceived", "the conversation in the request", func(s jamilab.Signal) bool { return s.Text(1) == request.Text(1) })
		var done bool
		if p.Do("acceptTrustRequest", []any{p.Account, h.id}, &done); !done {
			t.Error("the daemon does not accept")
		}
		eventually(t, "the contact's consent", func() bool {
			list, err := h.door.Contacts("lobby")
			return err == nil && len(list) == 1 && list[0].Account.String() == p.URI && list[0].Confirmed
		})
		p.Hears(0, "conversationReady", "the conversation of the two", func(s jamilab.Signal) bool { return s.Text(1) == request.Text(1) })
		p.Accept(h.conversation().ID())
		eventually(t, "the contact joins the room's conversation", func() bool { return h.role(p.URI) == repo.Plain })
	})
}

// A contact is invited to the room's conversation. What they write beside their call to the room, in
// the one-to-one conversation with it, is said to all; when they are not in the room it is between the two.
func TestContactChatsBesideTheirCall(t *testing.T) {
	t.Parallel() // daemons mostly wait
	jamilab.Run(t, jamilab.Options{Peers: 1, Sound: true}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		p := l.Peer(1).Member(t)
		if err := jamilab.Accounts(ctx, p.Peer); err != nil {
			t.Fatal(err)
		}
		if err := p.Set(ctx, map[string]string{"Account.autoAnswer": "true"}); err != nil {
			t.Fatal(err)
		}
		h := openConversing(t, ctx, t.TempDir(), roomlog.Policy{Invite: settings.InviteContacts, Join: settings.JoinNever},
			settings.Room{ID: "lobby", Title: "The Lobby"})
		p.Do("addContact", []any{p.Account, h.id})
		p.Do("sendTrustRequest", []any{p.Account, h.id, []byte{}})
		var one string
		eventually(t, "the one-to-one conversation", func() bool {
			list, err := os.ReadDir(filepath.Join(h.dir, "lobby/conversations"))
			for _, e := range list {
				if e.IsDir() && len(e.Name()) == 40 && e.Name() != h.conversation().ID() {
					one = e.Name()
				}
			}
			return err == nil && one != "" && strings.Contains(gitrepo.Git(t, h.repository(one), "log", "--format=%B", "main"), `"join"`)
		})
		id := h.conversation().ID()
		p.Accept(id)
		eventually(t, "the contact joins the room's conversation", func() bool { return h.role(p.URI) == repo.Plain })

		p.Write(one, "not in the room yet", "", 0)
		call, err := p.PlaceCall(ctx, h.id, jamilab.Media(nil))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.WaitCall(ctx, call, "CURRENT"); err != nil {
			t.Fatal(err)
		}
		// Commits have whole seconds.
		eventually(t, "the next second", func() bool { return time.Now().After(h.room.Info().Participants[0].Joined.Add(time.Second)) })
		p.Write(one, "now I am", "", 0)
		h.said("jami", "p1", "now I am")
		p.Gets(id, "body", "p1: now I am")
		if err := p.HangUp(ctx, call); err != nil {
			t.Error(err)
		}
		p.GetsWhere(id, "the end of the meeting", func(f map[string]string) bool { return f["duration"] != "" })
		if log := gitrepo.Git(t, h.repository(id), "log", "--format=%B", "main"); strings.Contains(log, "not in the room yet") || strings.Count(log, "now I am") != 1 {
			t.Errorf("the room's conversation:\n%s", log)
		}

		// The room calls the contact, on a channel that messages travel on as well.
		if err := h.door.Dial(ctx, h.room, p.URI); err != nil {
			t.Fatal(err)
		}
		if n := len(h.room.Info().Participants); n != 1 {
			t.Errorf("%d participants, want the called one", n)
		}
		if err := p.Rest(ctx); err != nil {
			t.Fatal(err)
		}
		h.say("Ann", "hello to the called one")
		p.Gets(id, "body", "Ann: hello to the called one")
		p.Write(id, "I have been called", "", 0)
		h.said("swarm", "p1", "I have been called")
		p.Satisfied()
	})
}
