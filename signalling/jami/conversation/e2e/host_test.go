package e2e

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"rendezvous/conference/settings"
	"rendezvous/internal/lab/gitrepo"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/account/accounttest"
	"rendezvous/signalling/jami/conversation/conversationtest"
	"rendezvous/swarm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens an account of ours in a lab.
func open(t *testing.T, name string) *conversationtest.Host {
	t.Helper()
	on := accounttest.NewHost(t, ":0", jamilab.Bootstrap)
	return conversationtest.Open(t, on, account.Config{DisplayName: name, Policy: account.Policy{Requests: settings.RequestsAutomatic}})
}

// newHost opens an account of ours in a lab, and starts it.
func newHost(t *testing.T, name string) *conversationtest.Host {
	t.Helper()
	h := open(t, name)
	h.Start()
	return h
}

// same waits until the daemons have every commit that we have, and checks the
// repositories. Merges do not count: daemons keep theirs to themselves.
func same(t *testing.T, h *conversationtest.Host, c *swarm.Conversation, m ...jamilab.Member) {
	t.Helper()
	for _, p := range m {
		for end := time.Now().Add(accounttest.Patience); ; {
			got, want := gitrepo.Commits(t, p.Repository(c.ID())), gitrepo.Commits(t, h.Repository(c))
			if got == want {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%s has\n%s\nwe have\n%s", p.Name(), got, want)
			}
			time.Sleep(100 * time.Millisecond)
		}
		gitrepo.Git(t, p.Repository(c.ID()), "fsck", "--strict", "--no-dangling")
	}
	if out := gitrepo.Git(t, h.Repository(c), "fsck", "--strict", "--no-dangling"); out != "" {
		t.Errorf("git fsck: %s", out)
	}
	n, err := c.Repository().Verify()
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d commits", n)
}
