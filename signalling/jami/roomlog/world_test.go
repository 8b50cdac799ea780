package roomlog

import (
	"context"
	"crypto/sha3"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rendezvous/conference"
	"rendezvous/dht/identity"
	"rendezvous/dht/identity/identitytest"
	"rendezvous/dht/value"
	"rendezvous/moderation"
	"rendezvous/swarm"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// alone is a network on which nobody is.
type alone struct{}

func (alone) OpenChannel(context.Context, identity.KeyIDs, string) (net.Conn, error) {
	return nil, errors.New("nobody is there")
}
func (alone) SendMessage(context.Context, swarm.Peer, string, []byte) error {
	return errors.New("nobody is there")
}
func (alone) Devices(context.Context, value.Key) iter.Seq2[swarm.Peer, error] {
	return func(func(swarm.Peer, error) bool) {}
}
func (alone) Connected() []swarm.Peer { return nil }

// room is a Room that takes down what it is told.
type room struct {
	mu     sync.Mutex // guards the rest
	title  string
	began  *time.Time
	people []conference.Participant
	roles  map[string]moderation.Role
	banned map[string]bool
	orders []string // "NAME (DOOR, role): action text target"
	refuse error
}

func (r *room) ID() string { return "main" }
func (r *room) Title() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.title
}
func (r *room) Info() *conference.Info {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &conference.Info{Began: r.began, Participants: r.people}
}
func (r *room) RoleOf(identity string) (moderation.Role, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	role, ok := r.roles[identity]
	if !ok {
		role = moderation.Speaker
	}
	return role, r.banned[identity]
}
func (r *room) Order(by conference.Operator, o moderation.Order) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.orders = append(r.orders, fmt.Sprintf("%s (%s, %s): %s %s%s", by.Name, by.Door, by.Role, o.Action, o.Text, o.Target))
	return r.refuse
}
func (r *room) set(f func(*room)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r)
}
func (r *room) heard() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.orders, "\n")
}

// world is a room with its log.
type world struct {
	t       *testing.T
	dir     string
	account *identity.Account
	room    *room
	swarm   *swarm.Swarm
	roomlog *Log
	opening func() // is called before the log starts; nil: nothing is
}

var people = identitytest.Accounts(1)

func newWorld(t *testing.T, p Policy) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), account: people()[0], room: &room{title: "Main room", roles: map[string]moderation.Role{}, banned: map[string]bool{}}}
	w.open(p)
	t.Cleanup(w.close)
	return w
}

func (w *world) open(p Policy) {
	w.t.Helper()
	account, err := w.account.Device.Chain.AccountID()
	if err != nil {
		w.t.Fatal(err)
	}
	w.roomlog, err = New(Config{Room: w.room, Policy: p, Account: account, Device: w.account.Device.LongID(), StateFile: filepath.Join(w.dir, "conversation.json")})
	if err != nil {
		w.t.Fatal(err)
	}
	w.swarm, err = swarm.Open(swarm.Config{Dir: filepath.Join(w.dir, "conversations"), Identity: w.account.Device, Name: w.room.Title, Network: alone{},
		OnEntry: w.roomlog.Entry, OnInvitation: w.roomlog.Invited,
		OpenFile: func(key string) (io.ReadSeekCloser, error) { return os.Open(filepath.Join(w.dir, "recordings", key)) }})
	if err != nil {
		w.t.Fatal(err)
	}
	if w.opening != nil {
		w.opening()
	}
	if err := w.roomlog.Start(w.swarm); err != nil {
		w.swarm.Close()
		w.t.Fatal(err)
	}
}

func (w *world) close() {
	w.roomlog.Close()
	if err := w.swarm.Close(); err != nil {
		w.t.Error(err)
	}
}

// file has a file of a recording lie where the conversations find it.
func (w *world) file(name, title string) swarm.File {
	w.t.Helper()
	content := []byte("content of " + name)
	sum := sha3.Sum512(content)
	f := swarm.File{Name: title, Key: "main/1/" + name, Size: int64(len(content)), SHA3: hex.EncodeToString(sum[:])}
	path := filepath.Join(w.dir, "recordings", f.Key)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
		w.t.Fatal(err)
	}
	return f
}

// said lists the messages of the room's conversation, the oldest first, as they stand in it.
func (w *world) said(kind string) (out []commit.Message) {
	w.t.Helper()
	r := w.roomlog.Conversation().Repository()
	entries, err := r.Log(0)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range slices.Backward(entries) {
		if m := e.Message; m.Type == kind {
			out = append(out, m)
		}
	}
	return out
}

func chat(door, name, text string) conference.Event {
	return conference.Event{Kind: conference.EventChat, Time: time.Now(), Room: "main", Door: door, Name: name, Message: &conference.Message{Name: name, Text: text}}
}

// member is a commit of somebody else, as it is told to the log.
func (w *world) member(account byte, name string, at time.Time, m commit.Message) {
	e := repo.Entry{Name: name, Time: at, Message: m}
	e.Account[0], e.Device[0], e.ID = account, account, w.roomlog.Conversation().Repository().ID()
	w.roomlog.Entry(w.roomlog.Conversation(), e)
}
