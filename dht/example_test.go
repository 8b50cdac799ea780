package dht_test

import (
	"context"
	"fmt"
	"time"

	"rendezvous/dht"
)

// Two nodes on this machine, one of which joins through the other, as a host joins through bootstrap.jami.net.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	first, err := start(ctx)
	if err != nil {
		panic(err)
	}
	defer first.Close()
	second, err := start(ctx, first.Addrs()[0].String())
	if err != nil {
		panic(err)
	}
	defer second.Close()
	if err := second.WaitConnected(ctx); err != nil {
		panic(err)
	}

	key := dht.KeyOfText("minutes")
	if err := second.Put(ctx, key, &dht.Value{Data: []byte("the meeting is at ten")}); err != nil {
		panic(err)
	}
	for v, err := range first.Get(ctx, key) {
		if err != nil {
			panic(err)
		}
		fmt.Println(string(v.Data))
	}
	// Output: the meeting is at ten
}

// Who listens gets what is there, then what comes, until the context ends.
func ExampleNode_Listen() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	node, err := start(ctx)
	if err != nil {
		panic(err)
	}
	defer node.Close()
	other, err := start(ctx, node.Addrs()[0].String())
	if err != nil {
		panic(err)
	}
	defer other.Close()
	if err := other.WaitConnected(ctx); err != nil {
		panic(err)
	}

	key := dht.KeyOfText("who calls")
	events, err := node.Listen(ctx, key, dht.WhereUserType("call"))
	if err != nil {
		panic(err)
	}
	for _, v := range []*dht.Value{{UserType: "note", Data: []byte("not asked for")}, {UserType: "call", Data: []byte("Ada")}} {
		if err := other.Put(ctx, key, v); err != nil {
			panic(err)
		}
	}
	event := <-events
	fmt.Println(string(event.Value.Data), event.Expired)
	// Output: Ada false
}

// start starts a node on a free port of this machine. A host takes "0.0.0.0:4222" and "[::]:4222".
func start(ctx context.Context, bootstrap ...string) (*dht.Node, error) {
	node, err := dht.New(dht.Config{IPv4: "127.0.0.1:0", Bootstrap: bootstrap})
	if err != nil {
		return nil, err
	}
	return node, node.Start(ctx)
}
