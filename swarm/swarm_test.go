package swarm

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rendezvous/internal/eventually"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/gitwire"
	"rendezvous/swarm/repo"
)

// group makes a conversation of the first n hosts.
func (w *world) group(n int) []*Conversation {
	w.t.Helper()
	c := must[*Conversation](w.t)(w.hosts[0].swarm.Create(commit.InvitesOnly, nil))
	out := []*Conversation{c}
	for _, h := range w.hosts[1:n] {
		must[repo.Entry](w.t)(c.Invite(h.peer.Account))
		var i Invitation
		select {
		case i = <-h.invited:
		case <-time.After(patience):
			w.t.Fatal("no invitation")
		}
		if i.Conversation != c.ID() || i.From.Account != w.hosts[0].peer.Account {
			w.t.Fatalf("%+v", i)
		}
		joined := must[*Conversation](w.t)(h.swarm.Accept(context.Background(), i.Conversation))
		out = append(out, joined)
		eventually.True(w.t, "the join is known", func() bool { return c.repo.Role(h.peer.Account).Belongs() })
	}
	return out
}

// agree waits until all have the same head.
func agree(t *testing.T, all ...*Conversation) {
	t.Helper()
	eventually.True(t, "all have the same head", func() bool {
		for _, c := range all[1:] {
			if c.repo.Head() != all[0].repo.Head() {
				return false
			}
		}
		return true
	})
	for _, c := range all {
		must[int](t)(c.repo.Verify())
	}
}

func TestGroup(t *testing.T) {
	w := newWorld(t, 3)
	all := w.group(3)
	want := []string{}
	for round := range 3 {
		for i, c := range all {
			body := fmt.Sprintf("%d of host %d", round, i)
			want = append(want, body)
			must[repo.Entry](t)(c.Say(commit.Text(body)))
		}
	}
	eventually.True(t, "everything everywhere", func() bool {
		for _, c := range all {
			if strings.Count(said(t, c), "|")+1 != len(want) {
				return false
			}
		}
		return true
	})
	agree(t, all...)
	// Everybody was told everything, once, parents before children.
	for _, h := range w.hosts {
		eventually.True(t, "events", func() bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			seen := map[string]int{}
			for _, e := range h.heard {
				seen[e.Message.Get("body")]++
			}
			for _, b := range want {
				if seen[b] != 1 {
					return false
				}
			}
			return true
		})
	}
}

// Cut apart, all write, joined again: nothing is lost, three times over.
func TestPartition(t *testing.T) {
	t.Parallel() // it mostly waits for merges
	w := newWorld(t, 3)
	all := w.group(3)
	agree(t, all...)
	total := 0
	for round := range 3 {
		for a := range 3 {
			for b := range a {
				w.setCut(a, b, true)
			}
		}
		for i, c := range all {
			for n := range 5 {
				must[repo.Entry](t)(c.Say(commit.Text(fmt.Sprintf("%d/%d/%d", round, i, n))))
				total++
			}
		}
		if round == 1 { // also what changes the tree
			must[repo.Entry](t)(all[1].Invite(people()[3].ID()))
			must[repo.Entry](t)(all[0].SetProfile(repo.Profile{Title: "after the storm"}))
		}
		for a := range 3 {
			for b := range a {
				w.setCut(a, b, false)
			}
		}
		for a, h := range w.hosts {
			for b, o := range w.hosts {
				if a != b {
					h.swarm.Met(o.peer)
				}
			}
		}
		eventually.True(t, "everything everywhere", func() bool {
			for _, c := range all {
				if strings.Count(said(t, c), "|")+1 != total {
					return false
				}
			}
			return true
		})
		agree(t, all...)
		for _, h := range w.hosts { // so that the next round's meeting counts
			h.swarm.mu.Lock()
			clear(h.swarm.met)
			h.swarm.mu.Unlock()
		}
	}
	if all[2].repo.Role(people()[3].ID()) != repo.Invited || all[2].repo.Profile().Title != "after the storm" {
		t.Error("changes of the tree were lost")
	}
}

// Who was away catches up at the start; conversations are opened again.
func TestRestart(t *testing.T) {
	w := newWorld(t, 2)
	all := w.group(2)
	agree(t, all...)
	w.setCut(0, 1, true)
	must[repo.Entry](t)(all[0].Say(commit.Text("while you were away")))
	if err := w.hosts[1].swarm.Close(); err != nil {
		t.Fatal(err)
	}
	w.setCut(0, 1, false)
	h := w.hosts[1]
	s, err := Open(Config{Dir: h.dir, Identity: people()[1].Device, Network: h})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h.mu.Lock()
	h.swarm = s
	h.mu.Unlock()
	s.Start()
	c := s.Conversation(all[0].ID())
	if c == nil {
		t.Fatal("the conversation is gone")
	}
	eventually.True(t, "caught up", func() bool { return said(t, c) == "while you were away" })
}

// Who does not belong to a conversation gets nothing of it.
func TestStrangersGetNothing(t *testing.T) {
	w := newWorld(t, 4)
	all := w.group(2)
	c, owner := all[0], w.hosts[0].swarm
	member, invited, stranger := w.hosts[1].peer, w.hosts[2].peer, w.hosts[3].peer
	must[repo.Entry](t)(c.Invite(invited.Account))
	e := must[repo.Entry](t)(c.SendFile(w.hosts[0].file("secret.txt", []byte("secret"))))
	text := must[repo.Entry](t)(c.Say(commit.Text("x")))
	agree(t, all...)
	device := func(p Peer) string { return p.Device.Long.String() }
	git := "git://" + device(w.hosts[0].peer) + "/" + c.ID()
	file := func(p Peer, id string) string { return "data-transfer://" + c.ID() + "/" + device(p) + "/" + id }
	id := FileID(e)
	for _, x := range []struct {
		peer Peer
		name string
		ok   bool
	}{
		{member, git, true}, {invited, git, true}, {stranger, git, false},
		{member, "git://" + device(member) + "/" + c.ID(), false},
		{member, "git://" + device(w.hosts[0].peer) + "/" + strings.Repeat("0", 40), false},
		{member, git + "/../x", false}, {member, "git://", false}, {member, "svn://x", false},
		{member, file(member, id), true}, {invited, file(invited, id), false}, {stranger, file(stranger, id), false},
		{stranger, file(member, id), false}, {member, file(w.hosts[0].peer, id), false},
		{member, file(member, id) + "?start=2&end=4", true}, {member, file(member, id) + "?start=9", false},
		{member, file(member, id) + "?start=-1", false}, {member, file(member, id) + "?start=x", false},
		{member, file(member, e.ID.String()+"_../../etc/passwd"), false},
		{member, file(member, text.ID.String()+"_"), false}, {member, file(member, strings.Replace(id, ".txt", ".exe", 1)), false},
		{member, file(member, "profile.vcf"), true}, {stranger, file(stranger, "profile.vcf"), false},
		{member, "data-transfer://" + c.ID() + "/profile/" + w.hosts[0].peer.Account.String() + ".vcf", true},
		{member, "data-transfer://" + c.ID() + "/profile/" + member.Account.String() + ".vcf", false},
		{stranger, "data-transfer://" + c.ID() + "/profile/" + w.hosts[0].peer.Account.String() + ".vcf", false},
		{member, "data-transfer://profile.vcf", false},
	} {
		if got := owner.AcceptChannel(x.peer, x.name); got != x.ok {
			t.Errorf("%s: %s: %v", x.peer.Account, x.name, got)
		}
	}
	// After a ban nothing either, on a channel that was open before too.
	client := must[*gitwire.Client](t)(w.hosts[1].swarm.openGit(w.hosts[0].peer.Device, c.ID()))
	defer client.Close()
	if banned, err := c.Ban(member.Account); err != nil || !banned {
		t.Fatal(banned, err)
	}
	if owner.AcceptChannel(member, git) || owner.AcceptChannel(member, file(member, id)) {
		t.Error("the banned gets something")
	}
	_, err := owner.readable(member, c.ID())
	if !errors.Is(err, errNotFound) {
		t.Errorf("an open channel: %v", err)
	}
	// And of what is no longer kept.
	if err := c.ForgetFile(e); err != nil {
		t.Fatal(err)
	}
	if _, err := c.offer(id, ""); err == nil {
		t.Error("a forgotten file is offered")
	}
}

func TestDownload(t *testing.T) {
	w := newWorld(t, 3)
	all := w.group(3)
	content := make([]byte, 300_000)
	rand.Read(content)
	dir := t.TempDir()
	e := must[repo.Entry](t)(all[0].SendFile(w.hosts[0].file("a.bin", content)))
	agree(t, all...)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	get := func(name string, part []byte) error {
		dst := filepath.Join(dir, name)
		if part != nil {
			if err := os.WriteFile(dst+".part", part, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := all[1].Download(ctx, e, dst); err != nil {
			return err
		}
		got, err := os.ReadFile(dst)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		return nil
	}
	for name, part := range map[string][]byte{"whole": nil, "resumed": content[:123_456], "complete": content} {
		if err := get(name, part); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A part that is wrong is found out, and thrown away.
	if err := get("wrong", make([]byte, 1000)); err == nil {
		t.Error("wrong content is taken")
	}
	if err := get("wrong", nil); err != nil {
		t.Error(err)
	}
	// The author away: who else has it gives it.
	if err := all[2].files.set(FileID(e), w.hosts[2].file("a.bin", content).Key); err != nil {
		t.Fatal(err)
	}
	w.setCut(0, 1, true)
	if err := get("from another", nil); err != nil {
		t.Error(err)
	}
	w.setCut(1, 2, true)
	if err := get("from nobody", nil); !errors.Is(err, ErrNoFile) {
		t.Error(err)
	}
}

// Messages of strangers and nonsense do no harm.
func TestMessages(t *testing.T) {
	w := newWorld(t, 2)
	c := w.group(1)[0]
	s, stranger := w.hosts[0].swarm, w.hosts[1].peer
	for _, body := range []string{"", "{", "[]", `{"id":3}`, `{"id":"` + c.ID() + `"}`, `{"id":"` + c.ID() + `","deviceId":"x","commit":"y"}`,
		`{"conversationId":"x"}`, `{"conversationId":"` + c.ID() + `","metadatas":{"mode":2}}`, c.ID(), strings.Repeat("x", 1<<20)} {
		for _, mime := range []string{TypeCommit, TypeInvite, TypeAskAgain, "text/plain", ""} {
			s.Message(stranger, mime, []byte(body))
		}
	}
	for i := range 2 * maxInvitations {
		s.Message(stranger, TypeInvite, fmt.Appendf(nil, `{"conversationId":"%040x","metadatas":{}}`, i))
	}
	if n := len(s.Invitations()); n != maxInvitations {
		t.Errorf("%d invitations are kept", n)
	}
	if _, err := s.Accept(context.Background(), strings.Repeat("f", 40)); !errors.Is(err, ErrNoInvitation) {
		t.Error(err)
	}
	s.Decline(fmt.Sprintf("%040x", 0))
	if n := len(s.Invitations()); n != maxInvitations-1 {
		t.Errorf("%d invitations are kept", n)
	}
}

func FuzzMessages(f *testing.F) {
	f.Add([]byte(`{"commit":"a","deviceId":"b","id":"1e53df6a26557f319a9d0f6575c09bdb6f37950f"}`))
	f.Add([]byte(`{"conversationId":"482d0e8f0c83afc4c90a772cccf1e344f8831e33","metadatas":{"mode":"2","title":"é"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, ok := parseAnnouncement(b); ok && len(a.ID) != 40 {
			t.Error(a)
		}
		if i, ok := parseInvitation(b); ok && len(i.ID) != 40 {
			t.Error(i)
		}
	})
}
