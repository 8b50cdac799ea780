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

// ParseKey reads 40 hex digits.
func ParseKey(text string) (Key, error) { return value.ParseKey(text) }
