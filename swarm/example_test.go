package swarm_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/swarm"
	"rendezvous/swarm/commit"
)

// Ada begins a conversation and invites Bob, who then has a copy of it, with all that was said before.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "swarm")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	lan := network{}
	invited := make(chan swarm.Invitation, 1)
	ada, err := lan.open(swarm.Config{Dir: filepath.Join(dir, "ada"), Name: func() string { return "Ada" }})
	if err != nil {
		panic(err)
	}
	defer ada.Close()
	bob, err := lan.open(swarm.Config{Dir: filepath.Join(dir, "bob"), OnInvitation: func(i swarm.Invitation) { invited <- i }})
	if err != nil {
		panic(err)
	}
	defer bob.Close()

	c, err := ada.Create(commit.InvitesOnly, nil)
	if err != nil {
		panic(err)
	}
	if _, err := c.Say(commit.Text("Shall we meet at ten?")); err != nil {
		panic(err)
	}
	if _, err := c.Invite(bob.Account()); err != nil {
		panic(err)
	}
	copied, err := bob.Accept(ctx, (<-invited).Conversation)
	if err != nil {
		panic(err)
	}
	history, err := copied.Repository().Log(0)
	if err != nil {
		panic(err)
	}
	for _, e := range slices.Backward(history) { // the newest is first
		fmt.Printf("%s %q\n", e.Message.Type, e.Message.Get("action")+e.Message.Get("body"))
	}
	// Output:
	// initial ""
	// text/plain "Shall we meet at ten?"
	// member "add"
	// member "join"
}

// network is a Network within this program: it knows everybody by device. Real ones find devices on the DHT and keep
// connections to them.
type network map[value.LongID]*device

type device struct {
	network
	peer  swarm.Peer
	swarm *swarm.Swarm
}

func (n network) open(cfg swarm.Config) (*swarm.Swarm, error) {
	account, err := identity.NewAccountBits(time.Now(), 2048)
	if err != nil {
		return nil, err
	}
	d := &device{network: n, peer: swarm.Peer{Account: account.ID(), Device: identity.KeyIDs{Short: account.DeviceID(), Long: account.DeviceLongID()}}}
	cfg.Identity, cfg.Network = account.Device, d
	d.swarm, err = swarm.Open(cfg)
	n[d.peer.Device.Long] = d
	return d.swarm, err
}

func (d *device) OpenChannel(_ context.Context, to identity.KeyIDs, name string) (net.Conn, error) {
	other, ok := d.network[to.Long]
	if !ok || !other.swarm.AcceptChannel(d.peer, name) {
		return nil, errors.New("away, or declined")
	}
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		other.swarm.ServeChannel(d.peer, name, theirs)
	}()
	return ours, nil
}

func (d *device) SendMessage(_ context.Context, to swarm.Peer, mime string, body []byte) error {
	other, ok := d.network[to.Device.Long]
	if !ok {
		return errors.New("away")
	}
	other.swarm.Message(d.peer, mime, body)
	return nil
}

func (d *device) Devices(_ context.Context, account value.Key) iter.Seq2[swarm.Peer, error] {
	return func(yield func(swarm.Peer, error) bool) {
		for _, p := range d.Connected() {
			if p.Account == account && !yield(p, nil) {
				return
			}
		}
	}
}

func (d *device) Connected() (peers []swarm.Peer) {
	for _, other := range d.network {
		if other != d {
			peers = append(peers, other.peer)
		}
	}
	return peers
}
