package conversation_test

import (
	"context"
	"testing"

	"rendezvous/internal/eventually"
	"rendezvous/signalling/jami/account/accounttest"
	"rendezvous/swarm"
)

// Both sides open a channel for messages when they first have something to say: daemons of
// 2026 do. The service is closed all the same, and soon.
func TestCloseWithTwoMessageChannels(t *testing.T) {
	hosts := alone(t, keys()...)
	a, b := hosts[0], hosts[1]
	for _, err := range []error{a.Account.AddContact(b.Account.ID()), b.Account.AddContact(a.Account.ID())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	a.Start()
	b.Start()
	ctx, cancel := context.WithTimeout(t.Context(), accounttest.Patience)
	defer cancel()
	newest := func() any { return a.Service.MessageChannel(b.Account.Device()) }
	if err := a.Service.SendMessage(ctx, swarm.Peer{Account: b.Account.ID(), Device: b.Account.Device()}, "text/plain", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	first := newest()
	if first == nil {
		t.Fatal("the message went another way")
	}
	if _, err := b.Account.OpenChannel(ctx, a.Account.Device(), "msg:"+a.Account.Device().Long.String(), swarm.TypeCommit); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "the other's channel is taken", func() bool { return newest() != first })
	closed := make(chan error, 1)
	go func() { closed <- a.Service.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-ctx.Done():
		t.Error("the service does not close")
		a.Account.Close()
	}
}
