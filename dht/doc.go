// Package dht is an OpenDHT node: it joins the distributed hash table that Jami's devices form, stores values for others,
// and puts, gets and listens for its own users.
//
// One [Node] serves any number of identities: the node itself has none, and every call that signs or decrypts names the
// one it acts for. Values are delivered with their signatures checked; a signed value that fails is never handed on.
//
//	node, err := dht.New(dht.Config{IPv4: "0.0.0.0:4222", IPv6: "[::]:4222", Bootstrap: []string{"bootstrap.jami.net:4222"}})
//	err = node.Start(ctx)
//	defer node.Close()
//	for v, err := range node.Get(ctx, dht.KeyOfText("some text")) { … }
//
// docs/jami/dht.md has the protocol.
//
// # How it works
//
// One goroutine, the engine, owns all state and never waits: socket readers hand it decoded messages, callers hand it
// commands, timers wake it, and what takes long (checking signatures of values to be stored) goes to workers. Values
// that are found are unpacked, checked and decrypted by whoever asked for them.
//
// # What strangers can cost
//
// The bounds of [Limits] and a few constants, each with a test: requests per second, over all and per address; nodes
// remembered, of which one public address gets three per bucket and per search, and only nodes that were heard enter
// a routing table; values per key, keys, bytes in all and per address (the oldest of whoever stores most go first);
// listeners per node, per key and in all; fragmented messages by number, by address and by bytes, and none without a
// valid token or a pending request; an answer of at most 128 kB; what one Get (64 MB) or one slow reader (16 MB) may
// hold. An answer counts only from the address that was asked, with a random 32-bit number and the id of the node that
// was asked; a token only from the address and port it was given to, for one to two rotations of 15 to 45 minutes.
package dht

import "rendezvous/dht/value"

// The types of package value, so that users of a node need one import.
type (
	// Key is a place in the DHT, and the form of node ids: 20 bytes.
	Key = value.Key
	// Value is what is put and found there.
	Value = value.Value
)

// KeyOf returns the SHA-1 of data, where OpenDHT puts what data names.
func KeyOf(data []byte) Key { return value.KeyOf(data) }

// KeyOfText returns the SHA-1 of a text such as "peer:" followed by a device id.
func KeyOfText(text string) Key { return value.KeyOfText(text) }

// ParseKey reads 40 hex digits, in either case; anything else is an error.
func ParseKey(text string) (Key, error) { return value.ParseKey(text) }
