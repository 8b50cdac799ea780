package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rendezvous/internal/lab/gitrepo"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/signalling/jami/account/accounttest"
	"rendezvous/signalling/jami/conversation/conversationtest"
	"rendezvous/swarm"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// cuts are how long the daemon is away each time: shorter and longer than a
// connection is trusted without a word.
var cuts = []time.Duration{0, 0, 20 * time.Second}

// Two of our hosts and a daemon in one group. The daemon's cable is taken out, all
// write, and it comes back: nothing is lost, three times over, and all have the
// same newest commit.
func TestPartitionWithDaemon(t *testing.T) {
	jamilab.Run(t, jamilab.Options{Peers: 1}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
		defer cancel()
		p := jamilab.Members(t, l)[0]
		a, b := newHost(t, "Host A"), newHost(t, "Host B")
		ours := conversationtest.Must[*swarm.Conversation](t)(a.Service.Swarm().Create(commit.InvitesOnly, nil))
		id := ours.ID()
		conversationtest.Must[repo.Entry](t)(ours.Invite(b.Account.ID()))
		accounttest.Next(t, b.Invited, "invitation at B", nil)
		others := conversationtest.Must[*swarm.Conversation](t)(b.Service.Swarm().Accept(ctx, id))
		accounttest.Next(t, a.Entries, "B joins", func(e conversationtest.Entry) bool { return e.Message.Get("action") == commit.ActionJoin })
		conversationtest.Must[repo.Entry](t)(ours.Invite(accounttest.Key(t, p.URI)))
		p.Accept(id)
		accounttest.Next(t, b.Entries, "the daemon joins", func(e conversationtest.Entry) bool {
			return e.Message.Get("action") == commit.ActionJoin && e.Account.String() == p.URI
		})
		var all []string // what was said
		for round, cut := range cuts {
			if err := l.Link(p.Name(), false); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			for n := range 3 {
				x, y, z := fmt.Sprintf("A %d %d", round, n), fmt.Sprintf("B %d %d", round, n), fmt.Sprintf("daemon %d %d", round, n)
				conversationtest.Must[repo.Entry](t)(ours.Say(commit.Text(x)))
				conversationtest.Must[repo.Entry](t)(others.Say(commit.Text(y)))
				p.Say(id, z)
				p.Gets(id, "body", z)
				all = append(all, x, y, z)
			}
			time.Sleep(cut - time.Since(began))
			if err := l.Link(p.Name(), true); err != nil {
				t.Fatal(err)
			}
			back := time.Now()
			again := fmt.Sprint("again ", round)
			conversationtest.Must[repo.Entry](t)(ours.Say(commit.Text(again)))
			all = append(all, again)
			agree(t, id, map[string]string{"A": a.Repository(ours), "B": b.Repository(others), "the daemon": p.Repository(id)}, all)
			t.Logf("round %d: the same after %v", round, time.Since(back))
		}
		// The daemon's user can read all of it.
		shown := shows(p, id)
		for _, body := range all {
			if !slices.Contains(shown, body) {
				t.Errorf("the daemon does not show %q", body)
			}
		}
		same(t, a, ours, p)
		same(t, b, others, p)
		merges := strings.Fields(gitrepo.Git(t, p.Repository(id), "rev-list", "--merges", "main"))
		t.Logf("%d messages, %d merges", len(all), len(merges))
		p.Satisfied()
	})
}

// agree waits until all repositories have the same newest commit, and everything
// that was said is in its history.
func agree(t *testing.T, id string, repositories map[string]string, said []string) {
	t.Helper()
	for end := time.Now().Add(accounttest.Patience); ; time.Sleep(100 * time.Millisecond) {
		heads := map[string]string{}
		for who, dir := range repositories {
			heads[who] = gitrepo.Git(t, dir, "rev-parse", "main")
		}
		same := len(slices.Compact(slices.Sorted(maps.Values(heads)))) == 1
		var missing []string
		if same {
			log := gitrepo.Git(t, repositories["A"], "log", "--format=%B", "main")
			for _, body := range said {
				if !strings.Contains(log, strconv.Quote(body)) {
					missing = append(missing, body)
				}
			}
			if len(missing) == 0 {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("they do not agree: %v, missing %q", heads, missing)
		}
	}
}

// shows lists what the daemon shows of a conversation that its user opens.
func shows(m jamilab.Member, id string) []string {
	mark := m.Mark()
	m.Do("loadConversationMessages", []any{m.Account, id, "", uint32(0)}, new(uint32))
	s := m.Hears(mark, "conversationLoaded", "conversationLoaded", func(s jamilab.Signal) bool { return s.Text(2) == id })
	messages, _ := s.Args[3].([]map[string]string)
	var out []string
	for _, fields := range messages {
		out = append(out, fields["body"])
	}
	return out
}
