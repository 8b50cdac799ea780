//go:build soak

// This test is known to fail in about one run of four: after a cut with many merges the daemon
// sometimes logs that it will fetch and never asks. Whether that is the daemon's fault or ours
// is not found out yet; until then it runs by `make soak`, not in every `make test`.

package conversation

import (
	"context"
	"fmt"
	"testing"
	"time"

	"rendezvous/internal/lab/jamilab"
	"rendezvous/swarm"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// Two of our hosts and a daemon in one group. The daemon's cable is taken out, all
// write, and it comes back: nothing is lost, three times over.
func TestPartitionWithDaemon(t *testing.T) {
	jamilab.Run(t, jamilab.Options{Peers: 1}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
		defer cancel()
		p := members(t, ctx, l)[0]
		a, b := newHost(t, "Host A"), newHost(t, "Host B")
		ours := must[*swarm.Conversation](t)(a.service.Swarm().Create(commit.InvitesOnly, nil))
		id := ours.ID()
		must[repo.Entry](t)(ours.Invite(b.account.ID()))
		next(t, b.invited, "invitation at B", nil)
		others := must[*swarm.Conversation](t)(b.service.Swarm().Accept(ctx, id))
		next(t, a.entries, "B joins", func(e entry) bool { return e.Message.Get("action") == commit.ActionJoin })
		must[repo.Entry](t)(ours.Invite(key(t, p.URI)))
		p.accept(id)
		next(t, b.entries, "the daemon joins", func(e entry) bool {
			return e.Message.Get("action") == commit.ActionJoin && e.Account.String() == p.URI
		})
		for round := range 3 {
			if err := l.Link(p.Name(), false); err != nil {
				t.Fatal(err)
			}
			for n := range 3 {
				must[repo.Entry](t)(ours.Say(commit.Text(fmt.Sprintf("A %d %d", round, n))))
				must[repo.Entry](t)(others.Say(commit.Text(fmt.Sprintf("B %d %d", round, n))))
				p.say(id, fmt.Sprintf("daemon %d %d", round, n))
				p.gets(id, "body", fmt.Sprintf("daemon %d %d", round, n))
			}
			if err := l.Link(p.Name(), true); err != nil {
				t.Fatal(err)
			}
			back := time.Now()
			must[repo.Entry](t)(ours.Say(commit.Text(fmt.Sprint("again ", round))))
			p.gets(id, "body", fmt.Sprint("again ", round))
			a.same(ours, p)
			b.same(others, p)
			t.Logf("round %d: the same after %v", round, time.Since(back))
		}
		p.satisfied()
	})
}
