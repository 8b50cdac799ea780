// Package accounttest makes accounts for tests: a node of the DHT and a listener, and accounts
// that find each other by them.
package accounttest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rendezvous/dht"
	"rendezvous/dht/dhttest"
	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/connection"
	"rendezvous/signalling/jami/connection/icetcp"
)

// Patience is a deadline for what takes a second or two, of daemons too.
const Patience = 60 * time.Second

// Host is what the accounts of one program share.
type Host struct {
	Node     *dht.Node
	Listener *icetcp.Listener
	gatherer *icetcp.Gatherer
	keys     *identity.Account // of the account of one that finds others on this machine alone
}

// NewHost makes a host that can be reached at all of the machine's addresses, at a port given as
// to net.Listen. It ends with the test.
func NewHost(t testing.TB, listen string, bootstrap ...string) *Host {
	t.Helper()
	return newHost(t, dht.Config{IPv4: "0.0.0.0:0", Bootstrap: bootstrap}, listen)
}

// Loopback makes hosts that find each other on this machine alone, through nodes of our own, each
// with the keys of its account.
func Loopback(t testing.TB, keys ...*identity.Account) []*Host {
	t.Helper()
	var hosts []*Host
	var bootstrap []string
	for _, k := range keys {
		h := newHost(t, dht.Config{Bootstrap: bootstrap}, "127.0.0.1:0")
		h.gatherer.Hosts, h.keys = []netip.Addr{netip.MustParseAddr("127.0.0.1")}, k
		bootstrap = []string{dhttest.Addr(h.Node)}
		hosts = append(hosts, h)
	}
	return hosts
}

func newHost(t testing.TB, cfg dht.Config, listen string) *Host {
	t.Helper()
	cfg.Logger = Logger(t, "dht")
	node := dhttest.Start(t, cfg)
	l, err := icetcp.Listen(listen, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &Host{Node: node, Listener: l, gatherer: &icetcp.Gatherer{Listener: l}}
}

// Logger writes to the test's output, of details only if VERBOSE is set.
func Logger(t testing.TB, of string) *slog.Logger {
	level := slog.LevelInfo
	if os.Getenv("VERBOSE") != "" {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level})).With("of", of)
}

// Open opens an account, in a new folder unless cfg names one, and closes it when the test ends. One
// that is new has the host's keys, or quickly made ones. The test starts it.
func (h *Host) Open(t testing.TB, cfg account.Config) *account.Account {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.DisplayName == "" {
		cfg.DisplayName = "The room"
	}
	if cfg.KeyBits == 0 {
		cfg.KeyBits = 2048 // 4096 cost seconds
	}
	if cfg.Logger == nil {
		cfg.Logger = Logger(t, cfg.DisplayName)
	}
	keys := filepath.Join(cfg.Dir, "identity")
	if _, err := os.Stat(keys); h.keys != nil && errors.Is(err, fs.ErrNotExist) {
		if err := h.keys.Save(keys); err != nil {
			t.Fatal(err)
		}
	}
	cfg.Node, cfg.Listener, cfg.Gatherer, cfg.AllowLoopback = h.Node, h.Listener, h.gatherer, h.keys != nil
	a, err := account.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

// Start starts an account and waits until others can find it.
func Start(t testing.TB, a *account.Account) {
	t.Helper()
	if err := a.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	if err := a.WaitPublished(ctx); err != nil {
		t.Fatal(err)
	}
}

// Arrival is a SIP channel that somebody opened to an account, with the first line on it.
type Arrival struct {
	Peer  connection.Peer
	First string
	At    time.Time
}

// Calls reads the first line of every SIP channel that is opened to an account, and holds the
// channel until it ends.
func Calls(a *account.Account) <-chan Arrival {
	out := make(chan Arrival, 16)
	a.OnSIPChannel(func(p connection.Peer, ch net.Conn) {
		r := bufio.NewReader(ch)
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		out <- Arrival{p, strings.TrimSpace(line), time.Now()}
		io.Copy(io.Discard, r)
	})
	return out
}

// Next waits for the next that is as is wanted; match nil takes any.
func Next[T any](t testing.TB, ch <-chan T, what string, match func(T) bool) T {
	t.Helper()
	late := time.After(Patience)
	for {
		select {
		case v := <-ch:
			if match == nil || match(v) {
				return v
			}
		case <-late:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// Key reads the id of an account.
func Key(t testing.TB, id string) value.Key {
	t.Helper()
	k, err := value.ParseKey(id)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
