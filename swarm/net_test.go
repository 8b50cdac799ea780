package swarm

import (
	"context"
	"crypto/sha3"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"rendezvous/dht/identity"
	"rendezvous/dht/identity/identitytest"
	"rendezvous/dht/value"
	"rendezvous/swarm/repo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

var people = identitytest.Accounts(4)

// world is a network within the process: devices that reach each other unless a
// cable was cut.
type world struct {
	t *testing.T

	mu    sync.Mutex // guards the rest
	hosts []*host
	cut   map[[2]int]bool
	open  map[net.Conn][2]int
	deaf  map[int]bool // hosts whose messages vanish
	void  int          // how many did
}

// host is one device; it is the Network of its swarm.
type host struct {
	w     *world
	i     int
	peer  Peer
	swarm *Swarm // changed by restart alone; others than the test ask running
	dir   string
	files string // where those lie that it sends, by their keys

	mu      sync.Mutex // guards swarm and the rest
	alone   bool       // it seems to have no connections
	heard   []repo.Entry
	invited chan Invitation
}

func (h *host) running() *Swarm {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.swarm
}

// fetched is how often the host has fetched with success.
func (h *host) fetched() int {
	h.w.t.Helper()
	var m dto.Metric
	if err := h.swarm.cfg.Metrics.fetches.WithLabelValues("done").Write(&m); err != nil {
		h.w.t.Fatal(err)
	}
	return int(m.GetCounter().GetValue())
}

func newWorld(t *testing.T, n int) *world {
	w := &world{t: t, deaf: map[int]bool{}, cut: map[[2]int]bool{}, open: map[net.Conn][2]int{}}
	for i := range n {
		a := people()[i]
		h := &host{w: w, i: i, dir: filepath.Join(t.TempDir(), "c"), files: t.TempDir(), invited: make(chan Invitation, 2*maxInvitations),
			peer: Peer{a.ID(), identity.KeyIDs{Short: a.DeviceID(), Long: a.DeviceLongID()}}}
		metrics, err := NewMetrics(nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(Config{
			Metrics: metrics,
			Dir:     h.dir, Identity: a.Device, Network: h, Name: func() string { return fmt.Sprint("host ", i) },
			OnEntry: func(_ *Conversation, e repo.Entry) {
				h.mu.Lock()
				h.heard = append(h.heard, e)
				h.mu.Unlock()
			},
			OnInvitation: func(i Invitation) { h.invited <- i },
			VCard:        func() []byte { return []byte("BEGIN:VCARD") },
			OpenFile:     func(key string) (io.ReadSeekCloser, error) { return os.Open(filepath.Join(h.files, key)) },
			Log:          slog.New(slog.NewTextHandler(t.Output(), nil)).With("host", i),
		})
		if err != nil {
			t.Fatal(err)
		}
		h.swarm = s
		w.hosts = append(w.hosts, h)
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return w
}

var errCut = errors.New("no way there")

func (w *world) reach(from int, to value.LongID) (*host, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for j, h := range w.hosts {
		if h.peer.Device.Long == to && !w.cut[[2]int{min(from, j), max(from, j)}] {
			return h, nil
		}
	}
	return nil, errCut
}

// setCut takes the cable between two hosts out, or puts it back.
func (w *world) setCut(a, b int, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := [2]int{min(a, b), max(a, b)}
	w.cut[key] = cut
	for c, k := range w.open {
		if k == key {
			c.Close()
			delete(w.open, c)
		}
	}
}

func (h *host) OpenChannel(ctx context.Context, to identity.KeyIDs, name string) (net.Conn, error) {
	other, err := h.w.reach(h.i, to.Long)
	if err != nil {
		return nil, err
	}
	if !other.running().AcceptChannel(h.peer, name) {
		return nil, errors.New("declined")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	b, err := l.Accept()
	if err != nil {
		return nil, err
	}
	h.w.mu.Lock()
	h.w.open[a] = [2]int{min(h.i, other.i), max(h.i, other.i)}
	h.w.mu.Unlock()
	go func() {
		other.running().ServeChannel(h.peer, name, b)
		b.Close()
	}()
	return a, nil
}

func (h *host) SendMessage(ctx context.Context, to Peer, mime string, body []byte) error {
	other, err := h.w.reach(h.i, to.Device.Long)
	if err != nil {
		return err
	}
	h.w.mu.Lock()
	deaf := h.w.deaf[other.i]
	if deaf {
		h.w.void++
	}
	h.w.mu.Unlock()
	if !deaf {
		other.running().Message(h.peer, mime, body)
	}
	return nil
}

// lost is how many messages have vanished.
func (w *world) lost() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.void
}

// aloof has a host seem to have no connections.
func (h *host) aloof(yes bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.alone = yes
}

// forgetMeetings has the next meeting count.
func (h *host) forgetMeetings() {
	h.swarm.mu.Lock()
	defer h.swarm.mu.Unlock()
	clear(h.swarm.met)
}

func (h *host) Devices(ctx context.Context, account value.Key) iter.Seq2[Peer, error] {
	return func(yield func(Peer, error) bool) {
		for _, p := range h.reachable() {
			if p.Account == account && !yield(p, nil) {
				return
			}
		}
	}
}

func (h *host) Connected() []Peer {
	h.mu.Lock()
	alone := h.alone
	h.mu.Unlock()
	if alone {
		return nil
	}
	return h.reachable()
}

func (h *host) reachable() []Peer {
	var out []Peer
	for _, o := range h.w.hosts {
		if o != h {
			if _, err := h.w.reach(h.i, o.peer.Device.Long); err == nil {
				out = append(out, o.peer)
			}
		}
	}
	return out
}

// file has a file lie where the host finds it, and returns it to be sent.
func (h *host) file(name string, content []byte) File {
	h.w.t.Helper()
	f := File{Name: name, Key: "room/1/" + name, Size: int64(len(content)), SHA3: sha3Hex(content)}
	path := filepath.Join(h.files, f.Key)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
		h.w.t.Fatal(err)
	}
	return f
}

func sha3Hex(b []byte) string {
	sum := sha3.Sum512(b)
	return hex.EncodeToString(sum[:])
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

// said lists the bodies of all messages of a conversation, sorted.
func said(t *testing.T, c *Conversation) string {
	t.Helper()
	var out []string
	for _, e := range must[[]repo.Entry](t)(c.repo.Log(0)) {
		if b := e.Message.Get("body"); b != "" {
			out = append(out, b)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "|")
}
