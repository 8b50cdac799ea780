package conversation

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/goleak"

	"rendezvous/dht"
	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/internal/lab/gitrepo"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/connection/icetcp"
	"rendezvous/signalling/jami/sipchannel"
	"rendezvous/swarm"
	"rendezvous/swarm/repo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is a deadline for what takes daemons seconds.
const patience = 60 * time.Second

// host is our side: an account with its conversations.
type host struct {
	t       *testing.T
	account *account.Account
	sip     *sipchannel.Exchange
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

func newHostWith(t *testing.T, name string, calls func(*sipchannel.Channel, *sip.Request) bool) *host {
	t.Helper()
	return newHostIn(t, t.TempDir(), name, calls)
}

// newHostIn opens the account in dir/account, or makes it.
func newHostIn(t *testing.T, dir, name string, calls func(*sipchannel.Channel, *sip.Request) bool) *host {
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
	a, err := account.Open(account.Config{
		Dir: filepath.Join(dir, "account"), DisplayName: name, Node: node, Listener: listener, KeyBits: 2048,
		Gatherer: &icetcp.Gatherer{Listener: listener}, Policy: account.Policy{Requests: account.Automatic}, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	x := newExchange(a)
	h := &host{t, a, x, nil, filepath.Join(dir, "conversations"), make(chan entry, 1000), make(chan *swarm.Conversation, 100), make(chan swarm.Invitation, 100)}
	h.service, err = New(Config{Account: a, SIP: x, Log: log, Swarm: swarm.Config{
		Dir:          h.dir,
		OnEntry:      func(c *swarm.Conversation, e repo.Entry) { h.entries <- entry{c, e} },
		OnJoined:     func(c *swarm.Conversation) { h.joined <- c },
		OnInvitation: func(i swarm.Invitation) { h.invited <- i },
	}})
	if err != nil {
		t.Fatal(err)
	}
	if calls != nil {
		x.OnRequest(calls)
	}
	a.OnSIPChannel(x.Serve)
	t.Cleanup(func() { h.service.Close(); x.Close(); a.Close() })
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

// newExchange has the account's SIP channels.
func newExchange(a *account.Account) *sipchannel.Exchange {
	return sipchannel.New(sipchannel.Config{Account: a.ID().String(), Name: a.DisplayName,
		Dial: func(ctx context.Context, to identity.KeyIDs, connType string) (sipchannel.Stream, error) {
			ch, err := a.OpenChannel(ctx, to, "sip", connType)
			if err != nil {
				return nil, err
			}
			return ch, nil
		}})
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

// same waits until the daemons have every commit that we have, and checks the
// repositories. Merges do not count: daemons keep theirs to themselves.
func (h *host) same(c *swarm.Conversation, m ...jamilab.Member) {
	h.t.Helper()
	for _, p := range m {
		for end := time.Now().Add(patience); ; {
			got, want := gitrepo.Commits(h.t, p.Repository(c.ID())), gitrepo.Commits(h.t, h.repository(c))
			if got == want {
				break
			}
			if time.Now().After(end) {
				h.t.Fatalf("%s has\n%s\nwe have\n%s", p.Name(), got, want)
			}
			time.Sleep(100 * time.Millisecond)
		}
		gitrepo.Git(h.t, p.Repository(c.ID()), "fsck", "--strict", "--no-dangling")
	}
	if out := gitrepo.Git(h.t, h.repository(c), "fsck", "--strict", "--no-dangling"); out != "" {
		h.t.Errorf("git fsck: %s", out)
	}
	n, err := c.Repository().Verify()
	if err != nil {
		h.t.Error(err)
	}
	h.t.Logf("%d commits", n)
}
