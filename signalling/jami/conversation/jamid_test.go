package conversation

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rendezvous/dht"
	"rendezvous/dht/value"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/connection"
	"rendezvous/signalling/jami/connection/icetcp"
	"rendezvous/swarm"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is a deadline for what takes daemons seconds.
const patience = 60 * time.Second

// host is our side: an account with its conversations.
type host struct {
	t       *testing.T
	account *account.Account
	service *Service
	dir     string // of the conversations
	entries chan entry
	joined  chan *swarm.Conversation
	invited chan swarm.Invitation
}

type entry struct {
	conversation *swarm.Conversation
	repo.Entry
}

func newHost(t *testing.T, name string) *host {
	t.Helper()
	return newHostWith(t, name, nil)
}

func newHostWith(t *testing.T, name string, sip func(connection.Peer, net.Conn)) *host {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level()})).With("host", name)
	node, err := dht.New(dht.Config{IPv4: "0.0.0.0:0", Bootstrap: []string{jamilab.Bootstrap}})
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	listener, err := icetcp.Listen(":0", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close(); node.Close() })
	dir := t.TempDir()
	a, err := account.Open(account.Config{
		Dir: filepath.Join(dir, "account"), DisplayName: name, Node: node, Listener: listener, KeyBits: 2048,
		Gatherer: &icetcp.Gatherer{Listener: listener}, Policy: account.Policy{Requests: account.Automatic}, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t, a, nil, filepath.Join(dir, "conversations"), make(chan entry, 1000), make(chan *swarm.Conversation, 100), make(chan swarm.Invitation, 100)}
	h.service, err = New(Config{Account: a, SIP: sip, Log: log, Swarm: swarm.Config{
		Dir:          h.dir,
		OnEntry:      func(c *swarm.Conversation, e repo.Entry) { h.entries <- entry{c, e} },
		OnJoined:     func(c *swarm.Conversation) { h.joined <- c },
		OnInvitation: func(i swarm.Invitation) { h.invited <- i },
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.service.Close(); a.Close() })
	if err := a.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := a.WaitPublished(ctx); err != nil {
		t.Fatal(err)
	}
	h.service.Start()
	return h
}

func level() slog.Level {
	if os.Getenv("VERBOSE") != "" {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

func next[T any](t *testing.T, ch <-chan T, what string, match func(T) bool) T {
	t.Helper()
	end := time.After(patience)
	for {
		select {
		case v := <-ch:
			if match == nil || match(v) {
				return v
			}
		case <-end:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// hears waits for a line of chat at our side.
func (h *host) hears(body string) entry {
	h.t.Helper()
	return next(h.t, h.entries, body, func(e entry) bool { return e.Message.Get("body") == body })
}

func key(t *testing.T, text string) value.Key {
	t.Helper()
	k, err := value.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// member is a daemon in a conversation.
type member struct {
	*jamilab.Peer
	t *testing.T
}

func members(t *testing.T, ctx context.Context, l *jamilab.Lab) []member {
	t.Helper()
	var out []member
	for _, p := range l.Peers() {
		if err := p.NewAccount(ctx, p.Name(), nil); err != nil {
			t.Fatal(err)
		}
		out = append(out, member{p, t})
	}
	return out
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

func (m member) say(id, body string) {
	m.t.Helper()
	m.call("sendMessage", []any{m.Account, id, body, "", int32(0)})
}

// gets waits for a message with a field at the daemon, and returns all fields.
func (m member) gets(id, field, val string) map[string]string {
	m.t.Helper()
	var out map[string]string
	m.wait(0, "messageReceived", func(s jamilab.Signal) bool {
		fields, ok := s.Args[2].(map[string]string)
		out = fields
		return ok && s.Text(1) == id && fields[field] == val
	})
	return out
}

// repository is where the daemon keeps a conversation.
func (m member) repository(id string) string {
	return filepath.Join(m.Home(), ".local/share/jami", m.Account, "conversations", id)
}

func git(t *testing.T, args ...string) string {
	t.Helper()
	c := exec.Command("git", args...)
	c.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// complaints are what daemons log when they refuse something.
var complaints = []string{"Malformed", "Malicious", "malicious", "Could not validate", "couldn't be validated", "Verification failed", "is not valid", "Cannot validate", "Wrong", "Something wrong"}

func (m member) satisfied() {
	m.t.Helper()
	log, err := os.ReadFile(m.LogFile())
	if err != nil {
		m.t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if !strings.Contains(line, "conversation") && !strings.Contains(line, "commit") {
			continue
		}
		for _, c := range complaints {
			if strings.Contains(line, c) {
				m.t.Errorf("%s complains: %s", m.Name(), strings.TrimSpace(line))
			}
		}
	}
}

// We make a group and invite two daemons; messages go every way; a file of ours
// is downloaded; one that was away catches up; and what came of it is valid for
// git, for the daemons and for us.
func TestGroupWithDaemons(t *testing.T) {
	jamilab.Run(t, jamilab.Options{Peers: 2}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		m := members(t, ctx, l)
		h := newHost(t, "The room")
		c := must[*swarm.Conversation](t)(h.service.Swarm().Create(commit.InvitesOnly, nil))
		must[repo.Entry](t)(c.SetProfile(repo.Profile{Title: "Weekly meeting", Description: "of the team"}))
		for _, p := range m {
			must[repo.Entry](t)(c.Invite(key(t, p.URI)))
			p.accept(c.ID())
			next(t, h.entries, p.Name()+" joins", func(e entry) bool {
				return e.Message.Get("action") == commit.ActionJoin && e.Account.String() == p.URI
			})
		}
		// Every way.
		hello := must[repo.Entry](t)(c.Say(commit.Text("hello from the room 👋")))
		for _, p := range m {
			got := p.gets(c.ID(), "body", "hello from the room 👋")
			if got["author"] != h.account.ID().String() || got["id"] != hello.ID.String() {
				t.Errorf("%s got %v", p.Name(), got)
			}
		}
		for i, p := range m {
			body := fmt.Sprint("hello from ", p.Name())
			p.say(c.ID(), body)
			if e := h.hears(body); e.Account.String() != p.URI || e.Name != p.Name() {
				t.Errorf("from %s as %q", e.Account, e.Name)
			}
			m[1-i].gets(c.ID(), "body", body)
		}
		must[repo.Entry](t)(c.Say(commit.Reply("a reply", hello.ID)))
		must[repo.Entry](t)(c.Say(commit.React("👍", hello.ID)))
		must[repo.Entry](t)(c.Say(commit.Edit("hello again", hello.ID)))
		device, account := h.account.Device().Long.String(), h.account.ID().String()
		must[repo.Entry](t)(c.Say(commit.CallStarted("4711", device, account)))
		must[repo.Entry](t)(c.Say(commit.CallEnded("4711", device, account, 9142)))
		for _, p := range m {
			p.gets(c.ID(), "edit", hello.ID.String())
			p.gets(c.ID(), "duration", "9142")
		}
		var info map[string]string
		m[0].call("conversationInfos", []any{m[0].Account, c.ID()}, &info)
		if info["title"] != "Weekly meeting" || info["description"] != "of the team" {
			t.Errorf("profile at %s: %v", m[0].Name(), info)
		}

		sendsFile(t, h, c, m[0])

		// Away, and back.
		if err := m[1].Stop(); err != nil {
			t.Fatal(err)
		}
		must[repo.Entry](t)(c.Say(commit.Text("while you were away")))
		m[0].say(c.ID(), "indeed")
		h.hears("indeed")
		if err := m[1].Start(); err != nil {
			t.Fatal(err)
		}
		back := time.Now()
		for {
			if log := git(t, "-C", m[1].repository(c.ID()), "log", "--format=%B", "main"); strings.Contains(log, `"indeed"`) && strings.Contains(log, `"while you were away"`) {
				break
			}
			if time.Since(back) > patience {
				t.Fatalf("%s does not catch up", m[1].Name())
			}
			time.Sleep(200 * time.Millisecond)
		}
		t.Logf("%s caught up after %v", m[1].Name(), time.Since(back))

		// All have the same, and it is valid for everybody.
		h.same(c, m...)
		for _, p := range m {
			p.satisfied()
		}
	})
}

func (h *host) repository(c *swarm.Conversation) string { return filepath.Join(h.dir, c.ID()) }

// said lists the ids of all commits that are no merges.
func said(t *testing.T, dir string) string {
	t.Helper()
	ids := strings.Fields(git(t, "-C", dir, "log", "--no-merges", "--format=%H", "main"))
	slices.Sort(ids)
	return strings.Join(ids, "\n")
}

// sendsFile sends a file that a daemon downloads, and gets one back.
func sendsFile(t *testing.T, h *host, c *swarm.Conversation, p member) {
	t.Helper()
	dir := t.TempDir()
	src := filepath.Join(dir, "meeting.bin")
	content := make([]byte, 3_000_000)
	rand.Read(content)
	if err := os.WriteFile(src, content, 0o600); err != nil {
		t.Fatal(err)
	}
	e := must[repo.Entry](t)(c.SendFile(src, "meeting.bin"))
	p.gets(c.ID(), "id", e.ID.String())
	mark := p.Mark()
	dst := filepath.Join(dir, "at-the-daemon.bin")
	p.call("downloadFile", []any{p.Account, c.ID(), e.ID.String(), swarm.FileID(e), dst}, new(bool))
	p.wait(mark, "dataTransferEvent", func(s jamilab.Signal) bool {
		code, ok := s.Args[4].(int32)
		return ok && s.Text(3) == swarm.FileID(e) && code == 6 // finished
	})
	if got, err := os.ReadFile(dst); err != nil || string(got) != string(content) {
		t.Errorf("%s got %d bytes, %v", p.Name(), len(got), err)
	}

	p.call("sendFile", []any{p.Account, c.ID(), src, "back.bin", ""})
	back := next(t, h.entries, "file of the daemon", func(e entry) bool { return e.Message.Get("displayName") == "back.bin" })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ours := filepath.Join(dir, "with-us.bin")
	// A part that is there already is not fetched again.
	if err := os.WriteFile(ours+".part", content[:1_000_000], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Download(ctx, back.Entry, ours); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(ours); err != nil || string(got) != string(content) {
		t.Errorf("we got %d bytes, %v", len(got), err)
	}
}

// Daemons make conversations and invite us: a one-to-one one by asking to be our
// contact, and a group.
func TestDaemonsInviteUs(t *testing.T) {
	jamilab.Run(t, jamilab.Options{Peers: 2}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		m := members(t, ctx, l)
		h := newHost(t, "The room")
		id := h.account.ID().String()

		p := m[0]
		p.call("addContact", []any{p.Account, id})
		p.call("sendTrustRequest", []any{p.Account, id, []byte{}})
		one := next(t, h.joined, "one-to-one conversation", nil)
		if mode := one.Repository().Mode(); mode != commit.OneToOne {
			t.Errorf("mode %v", mode)
		}
		next(t, h.entries, "we join", func(e entry) bool { return e.Message.Get("action") == commit.ActionJoin })
		p.say(one.ID(), "just us")
		h.hears("just us")
		answer := must[repo.Entry](t)(one.Say(commit.Text("indeed")))
		p.gets(one.ID(), "id", answer.ID.String())
		h.same(one, p)

		var group string
		p.call("startConversation", []any{p.Account}, &group)
		p.call("addConversationMember", []any{p.Account, group, m[1].URI})
		m[1].accept(group)
		p.say(group, "before you")
		p.call("updateConversationInfos", []any{p.Account, group, map[string]string{"title": "Theirs"}})
		p.call("addConversationMember", []any{p.Account, group, id})
		i := next(t, h.invited, "invitation", nil)
		if i.Conversation != group || i.From.Account.String() != p.URI {
			t.Errorf("%+v", i)
		}
		c := must[*swarm.Conversation](t)(h.service.Swarm().Accept(ctx, group))
		if title := c.Repository().Profile().Title; title != "Theirs" {
			t.Errorf("title %q", title)
		}
		for i, q := range m {
			body := fmt.Sprint("from ", q.Name())
			q.say(group, body)
			h.hears(body)
			m[1-i].gets(group, "body", body)
		}
		said := must[repo.Entry](t)(c.Say(commit.Text("thanks for the invitation")))
		for _, q := range m {
			q.gets(group, "id", said.ID.String())
		}
		// The other is banned by its admin, and we serve it no longer.
		p.call("removeConversationMember", []any{p.Account, group, m[1].URI})
		next(t, h.entries, "ban", func(e entry) bool { return e.Message.Get("action") == commit.ActionBan })
		if role := c.Repository().Role(key(t, m[1].URI)); role != repo.Banned {
			t.Errorf("role %q", role)
		}
		if c.Repository().MayRead(key(t, m[1].URI), device(t, m[1])) {
			t.Error("the banned may read")
		}
		h.same(c, p)
		must[repo.Entry](t)(c.Leave())
		p.gets(group, "action", commit.ActionRemove)
		for _, q := range m {
			q.satisfied()
		}
	})
}

func device(t *testing.T, m member) value.LongID {
	t.Helper()
	id, err := value.ParseLongID(m.Device)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Calls and conversations share the SIP channels: a daemon calls us, on whichever
// channel it likes, while it is told of commits.
func TestCallsBesideMessages(t *testing.T) {
	jamilab.Run(t, jamilab.Options{Peers: 1}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		p := members(t, ctx, l)[0]
		invites := make(chan string, 10)
		h := newHostWith(t, "The room", func(_ connection.Peer, ch net.Conn) {
			defer ch.Close()
			in := bufio.NewReader(ch)
			for {
				m, err := readSIP(in)
				if err != nil {
					return
				}
				if method, _, _ := strings.Cut(m.first, " "); method == "INVITE" || method == "MESSAGE" {
					invites <- m.first
				}
			}
		})
		c := must[*swarm.Conversation](t)(h.service.Swarm().Create(commit.InvitesOnly, nil))
		must[repo.Entry](t)(c.Invite(key(t, p.URI)))
		p.accept(c.ID())
		p.say(c.ID(), "before the call")
		h.hears("before the call")
		call := must[string](t)(p.PlaceCall(ctx, h.account.ID().String(), jamilab.Media(nil)))
		if first := next(t, invites, "INVITE", nil); !strings.HasPrefix(first, "INVITE sip") {
			t.Errorf("%q", first)
		}
		e := must[repo.Entry](t)(c.Say(commit.Text("during the call")))
		p.gets(c.ID(), "id", e.ID.String())
		if err := p.HangUp(ctx, call); err != nil {
			t.Fatal(err)
		}
	})
}

// same waits until the daemons have every commit that we have, and checks the
// repositories. Merges do not count: daemons keep theirs to themselves.
func (h *host) same(c *swarm.Conversation, m ...member) {
	h.t.Helper()
	for _, p := range m {
		for end := time.Now().Add(patience); ; {
			got, want := said(h.t, p.repository(c.ID())), said(h.t, h.repository(c))
			if got == want {
				break
			}
			if time.Now().After(end) {
				h.t.Fatalf("%s has\n%s\nwe have\n%s", p.Name(), got, want)
			}
			time.Sleep(100 * time.Millisecond)
		}
		git(h.t, "-C", p.repository(c.ID()), "fsck", "--strict", "--no-dangling")
	}
	if out := git(h.t, "--git-dir", h.repository(c), "fsck", "--strict", "--no-dangling"); out != "" {
		h.t.Errorf("git fsck: %s", out)
	}
	n, err := c.Repository().Verify()
	if err != nil {
		h.t.Error(err)
	}
	h.t.Logf("%d commits", n)
}
