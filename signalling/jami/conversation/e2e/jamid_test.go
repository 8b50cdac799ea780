package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"rendezvous/dht/value"
	"rendezvous/internal/lab/gitrepo"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/signalling/jami/account/accounttest"
	"rendezvous/signalling/jami/conversation/conversationtest"
	"rendezvous/signalling/jami/sipchannel"
	"rendezvous/swarm"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// We make a group and invite two daemons; messages go every way; a file of ours
// is downloaded; one that was away catches up; and what came of it is valid for
// git, for the daemons and for us.
func TestGroupWithDaemons(t *testing.T) {
	jamilab.Run(t, jamilab.Options{Peers: 2}, func(t *testing.T, l *jamilab.Lab) {
		m := jamilab.Members(t, l)
		h := newHost(t, "The room")
		c := conversationtest.Must[*swarm.Conversation](t)(h.Service.Swarm().Create(commit.InvitesOnly, nil))
		conversationtest.Must[repo.Entry](t)(c.SetProfile(repo.Profile{Title: "Weekly meeting", Description: "of the team"}))
		for _, p := range m {
			conversationtest.Must[repo.Entry](t)(c.Invite(accounttest.Key(t, p.URI)))
			p.Accept(c.ID())
			accounttest.Next(t, h.Entries, p.Name()+" joins", func(e conversationtest.Entry) bool {
				return e.Message.Get("action") == commit.ActionJoin && e.Account.String() == p.URI
			})
		}
		// Every way.
		hello := conversationtest.Must[repo.Entry](t)(c.Say(commit.Text("hello from the room 👋")))
		for _, p := range m {
			got := p.Gets(c.ID(), "body", "hello from the room 👋")
			if got["author"] != h.Account.ID().String() || got["id"] != hello.ID.String() {
				t.Errorf("%s got %v", p.Name(), got)
			}
		}
		for i, p := range m {
			body := fmt.Sprint("hello from ", p.Name())
			p.Say(c.ID(), body)
			if e := h.Hears(body); e.Account.String() != p.URI || e.Name != p.Name() {
				t.Errorf("from %s as %q", e.Account, e.Name)
			}
			m[1-i].Gets(c.ID(), "body", body)
		}
		conversationtest.Must[repo.Entry](t)(c.Say(commit.Reply("a reply", hello.ID)))
		conversationtest.Must[repo.Entry](t)(c.Say(commit.React("👍", hello.ID)))
		conversationtest.Must[repo.Entry](t)(c.Say(commit.Edit("hello again", hello.ID)))
		device, account := h.Account.Device().Long.String(), h.Account.ID().String()
		conversationtest.Must[repo.Entry](t)(c.Say(commit.CallStarted("4711", device, account)))
		conversationtest.Must[repo.Entry](t)(c.Say(commit.CallEnded("4711", device, account, 9142)))
		for _, p := range m {
			p.Gets(c.ID(), "edit", hello.ID.String())
			p.Gets(c.ID(), "duration", "9142")
		}
		var info map[string]string
		m[0].Do("conversationInfos", []any{m[0].Account, c.ID()}, &info)
		if info["title"] != "Weekly meeting" || info["description"] != "of the team" {
			t.Errorf("profile at %s: %v", m[0].Name(), info)
		}

		back := sendsFile(t, h, c, m[0])
		// What a daemon takes in while it is ended it calls malformed.
		m[1].Gets(c.ID(), "id", back.ID.String())

		// Away, and back.
		if err := m[1].Stop(); err != nil {
			t.Fatal(err)
		}
		conversationtest.Must[repo.Entry](t)(c.Say(commit.Text("while you were away")))
		m[0].Say(c.ID(), "indeed")
		h.Hears("indeed")
		if err := m[1].Start(); err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		for {
			if log := gitrepo.Git(t, m[1].Repository(c.ID()), "log", "--format=%B", "main"); strings.Contains(log, `"indeed"`) && strings.Contains(log, `"while you were away"`) {
				break
			}
			if time.Since(started) > accounttest.Patience {
				t.Fatalf("%s does not catch up", m[1].Name())
			}
			time.Sleep(200 * time.Millisecond)
		}
		t.Logf("%s caught up after %v", m[1].Name(), time.Since(started))

		// All have the same, and it is valid for everybody.
		same(t, h, c, m...)
		for _, p := range m {
			p.Satisfied()
		}
	})
}

// sendsFile sends a file that a daemon downloads, and gets one back, whose message it returns.
func sendsFile(t *testing.T, h *conversationtest.Host, c *swarm.Conversation, p jamilab.Member) repo.Entry {
	t.Helper()
	dir := t.TempDir()
	src := filepath.Join(dir, "meeting.bin")
	content := make([]byte, 3_000_000)
	rand.Read(content)
	if err := os.WriteFile(src, content, 0o600); err != nil {
		t.Fatal(err)
	}
	e := conversationtest.Must[repo.Entry](t)(c.SendFile(h.File("meeting.bin", content)))
	p.Gets(c.ID(), "id", e.ID.String())
	if got := p.Download(c.ID(), e.ID.String(), swarm.FileID(e), filepath.Join(dir, "at-the-daemon.bin")); string(got) != string(content) {
		t.Errorf("%s got %d bytes", p.Name(), len(got))
	}

	p.Do("sendFile", []any{p.Account, c.ID(), src, "back.bin", ""})
	back := accounttest.Next(t, h.Entries, "file of the daemon", func(e conversationtest.Entry) bool { return e.Message.Get("displayName") == "back.bin" })
	ctx, cancel := context.WithTimeout(t.Context(), accounttest.Patience)
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
	return back.Entry
}

// Daemons make conversations and invite us: a one-to-one one by asking to be our
// contact, and a group.
func TestDaemonsInviteUs(t *testing.T) {
	jamilab.Run(t, jamilab.Options{Peers: 2}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		m := jamilab.Members(t, l)
		h := newHost(t, "The room")
		id := h.Account.ID().String()

		p := m[0]
		p.Do("addContact", []any{p.Account, id})
		p.Do("sendTrustRequest", []any{p.Account, id, []byte{}})
		one := accounttest.Next(t, h.Joined, "one-to-one conversation", nil)
		if mode := one.Repository().Mode(); mode != commit.OneToOne {
			t.Errorf("mode %v", mode)
		}
		accounttest.Next(t, h.Entries, "we join", func(e conversationtest.Entry) bool { return e.Message.Get("action") == commit.ActionJoin })
		p.Say(one.ID(), "just us")
		h.Hears("just us")
		answer := conversationtest.Must[repo.Entry](t)(one.Say(commit.Text("indeed")))
		p.Gets(one.ID(), "id", answer.ID.String())
		same(t, h, one, p)

		var group string
		p.Do("startConversation", []any{p.Account}, &group)
		p.Do("addConversationMember", []any{p.Account, group, m[1].URI})
		m[1].Accept(group)
		// A daemon announces nothing to those of whose joining it has not heard, nor
		// later what it said before.
		p.Gets(group, "action", commit.ActionJoin)
		p.Say(group, "before you")
		p.Do("updateConversationInfos", []any{p.Account, group, map[string]string{"title": "Theirs"}})
		p.Gets(group, "type", "application/update-profile") // it is made later than the call returns
		p.Do("addConversationMember", []any{p.Account, group, id})
		i := accounttest.Next(t, h.Invited, "invitation", nil)
		if i.Conversation != group || i.From.Account.String() != p.URI {
			t.Errorf("%+v", i)
		}
		c := conversationtest.Must[*swarm.Conversation](t)(h.Service.Swarm().Accept(ctx, group))
		if title := c.Repository().Profile().Title; title != "Theirs" {
			t.Errorf("title %q", title)
		}
		for i, q := range m {
			body := fmt.Sprint("from ", q.Name())
			q.Say(group, body)
			h.Hears(body)
			m[1-i].Gets(group, "body", body)
		}
		said := conversationtest.Must[repo.Entry](t)(c.Say(commit.Text("thanks for the invitation")))
		for _, q := range m {
			q.Gets(group, "id", said.ID.String())
		}
		// The other is banned by its admin, and we serve it no longer.
		p.Do("removeConversationMember", []any{p.Account, group, m[1].URI})
		accounttest.Next(t, h.Entries, "ban", func(e conversationtest.Entry) bool { return e.Message.Get("action") == commit.ActionBan })
		if role := c.Repository().Role(accounttest.Key(t, m[1].URI)); role != repo.Banned {
			t.Errorf("role %q", role)
		}
		if c.Repository().MayRead(accounttest.Key(t, m[1].URI), device(t, m[1])) {
			t.Error("the banned may read")
		}
		same(t, h, c, p)
		conversationtest.Must[repo.Entry](t)(c.Leave())
		p.Gets(group, "action", commit.ActionRemove)
		for _, q := range m {
			q.Satisfied()
		}
	})
}

func device(t *testing.T, m jamilab.Member) value.LongID {
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
		p := jamilab.Members(t, l)[0]
		invites := make(chan string, 10)
		h := open(t, "The room")
		h.SIP.OnRequest(func(_ *sipchannel.Channel, r *sip.Request) bool {
			if r.Method == sip.INVITE || r.Method == sip.MESSAGE {
				invites <- string(r.Method)
			}
			return true
		})
		h.Start()
		c := conversationtest.Must[*swarm.Conversation](t)(h.Service.Swarm().Create(commit.InvitesOnly, nil))
		conversationtest.Must[repo.Entry](t)(c.Invite(accounttest.Key(t, p.URI)))
		p.Accept(c.ID())
		p.Say(c.ID(), "before the call")
		h.Hears("before the call")
		call := conversationtest.Must[string](t)(p.PlaceCall(ctx, h.Account.ID().String(), jamilab.Media(nil)))
		if first := accounttest.Next(t, invites, "INVITE", nil); first != "INVITE" {
			t.Errorf("%q", first)
		}
		e := conversationtest.Must[repo.Entry](t)(c.Say(commit.Text("during the call")))
		p.Gets(c.ID(), "id", e.ID.String())
		if err := p.HangUp(ctx, call); err != nil {
			t.Fatal(err)
		}
	})
}

// A daemon hears at once what we send, also on a connection that is not new: its
// event queue must not have been made to sleep.
func TestDaemonHearsAtOnce(t *testing.T) {
	jamilab.Run(t, jamilab.Options{Peers: 1}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		p := jamilab.Members(t, l)[0]
		h := newHost(t, "The room")
		var took []time.Duration
		for device, err := range h.Account.Devices(ctx, accounttest.Key(t, p.URI)) {
			if err != nil {
				t.Fatal(err)
			}
			ch, err := h.SIP.To(ctx, device.Device, "audioCall")
			if err != nil {
				t.Fatal(err)
			}
			for began := time.Now(); time.Since(began) < 4*time.Second; time.Sleep(100 * time.Millisecond) {
				target, d := ch.Open(sipchannel.Token(), sipchannel.Token())
				asked := time.Now()
				if resp, err := ch.Request(ctx, ch.NewRequest(sip.OPTIONS, target, d, 1)); err != nil || resp.StatusCode != 200 {
					t.Fatalf("%v, %v", resp, err)
				}
				took = append(took, time.Since(asked))
			}
			if other, err := h.SIP.To(ctx, device.Device, "audioCall"); other != ch || err != nil {
				t.Errorf("a second channel where one is in use, %v", err)
			}
		}
		if len(took) == 0 {
			t.Fatal("the daemon cannot be reached")
		}
		slices.Sort(took)
		t.Logf("answers to %d requests after %v to %v, %v in the middle", len(took), took[0], took[len(took)-1], took[len(took)/2])
		if middle := took[len(took)/2]; middle > 100*time.Millisecond {
			t.Errorf("the daemon answers after %v", middle)
		}
	})
}
