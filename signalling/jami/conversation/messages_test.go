package conversation

import (
	"context"
	"testing"
	"time"

	"rendezvous/dht/identity"
	"rendezvous/swarm"
)

// Both sides open a channel for messages when they first have something to say: daemons of
// 2026 do. The service is closed all the same, and soon.
func TestCloseWithTwoMessageChannels(t *testing.T) {
	now := time.Now()
	a, network := alone(t, nil, "a", must[*identity.Account](t)(identity.NewAccountBits(now, 2048)))
	b, _ := alone(t, network, "b", must[*identity.Account](t)(identity.NewAccountBits(now, 2048)))
	for _, err := range []error{a.account.AddContact(b.account.ID()), b.account.AddContact(a.account.ID())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	a.start()
	b.start()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	newest := func() *msgLink {
		a.service.mu.Lock()
		defer a.service.mu.Unlock()
		return a.service.msg[b.account.Device().Long]
	}
	if err := a.service.sendMessage(ctx, swarm.Peer{Account: b.account.ID(), Device: b.account.Device()}, "text/plain", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	first := newest()
	if first == nil {
		t.Fatal("the message went another way")
	}
	if _, err := b.account.OpenChannel(ctx, a.account.Device(), "msg:"+a.account.Device().Long.String(), connType); err != nil {
		t.Fatal(err)
	}
	a.eventually("the other's channel is taken", func() bool { return newest() != first })
	closed := make(chan error, 1)
	go func() { closed <- a.service.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-ctx.Done():
		t.Error("the service does not close")
		a.account.Close()
	}
}
