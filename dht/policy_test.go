package dht

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/dht/identity"
	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
	"rendezvous/dht/wire"
)

// Only what policy allows is stored, and replaces what is there.
func TestPolicies(t *testing.T) {
	b := newTestbed(t, Config{})
	alice, bob := accounts()[0].Device, accounts()[0].Master
	signed := func(who *identity.Identity, id uint64, seq uint16, text string) *Value {
		v := &Value{ID: id, Seq: seq, Data: []byte(text)}
		if err := who.Sign(v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	tampered := signed(alice, 4, 0, "original")
	tampered.Data = []byte("tampered")
	key := KeyOfText("policies")
	certificate := identity.CertificateValue(accounts()[0].Device.Chain)
	service := msgpack.AppendBytes(nil, []byte{2, 0, 0x10, 0x92, 66, 66, 66, 66, 0, 0, 0, 0, 0, 0, 0, 0})
	at := func(k Key, id uint64) string {
		s := b.store.byKey[k].get(id)
		if s == nil {
			return ""
		}
		v, err := value.Unpack(s.packed)
		if err != nil {
			t.Fatal(err)
		}
		return string(v.Data)
	}
	for _, step := range []struct {
		what string
		key  Key
		v    *Value
		want string // what is stored there afterwards
	}{
		{"plain", key, &Value{ID: 1, Data: []byte("a")}, "a"},
		{"another in place of a plain one", key, &Value{ID: 1, Data: []byte("b")}, "a"},
		{"a signed one in place of a plain one", key, signed(alice, 1, 9, "b"), "a"},
		{"signed", key, signed(alice, 2, 1, "v1"), "v1"},
		{"a newer version", key, signed(alice, 2, 2, "v2"), "v2"},
		{"an older version", key, signed(alice, 2, 1, "v1"), "v2"},
		{"the same version with other content", key, signed(alice, 2, 2, "x"), "v2"},
		{"somebody else's newer version", key, signed(bob, 2, 3, "bob"), "v2"},
		{"a plain one in place of a signed one", key, &Value{ID: 2, Data: []byte("plain")}, "v2"},
		{"tampered", key, tampered, ""},
		{"a message to no service", key, &Value{ID: 5, Type: value.Message, Data: []byte{0x92, 0xa0, 0xc4, 0}}, ""},
		{"a message", key, &Value{ID: 6, Type: value.Message, Data: []byte{0x92, 0xa1, 's', 0xc4, 0}}, "\x92\xa1s\xc4\x00"},
		{"a service, which gets the sender's address", key, &Value{ID: 7, Type: value.IPService, Data: service},
			string(msgpack.AppendBytes(nil, []byte{2, 0, 0x10, 0x92, 20, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}))},
		{"a certificate at another key", key, certificate, "a"},
		{"a certificate at its id", alice.ID(), certificate, string(certificate.Data)},
		{"a certificate at its new place", alice.LongID().Key(), certificate, string(certificate.Data)},
		{"id zero", key, &Value{ID: 0, Data: []byte("zero")}, ""},
		{"of an hour ago", key, &Value{ID: 8, Data: []byte("old")}, ""},
	} {
		m := &wire.Message{Kind: wire.Request, Method: wire.Put, TID: 2, ID: Key{1}, Target: step.key, Token: b.tokens.issue(host(1))}
		if step.v.ID == 8 {
			m.Created = b.now.Add(-time.Hour).Unix()
		}
		// In fragments, as everything of this size is sent.
		packed := step.v.Pack()
		m.Values = []wire.ValuePart{{Size: len(packed)}}
		b.receive(host(1), m)
		for off := 0; off < len(packed); off += fragmentSize {
			b.receive(host(1), &wire.Message{Kind: wire.Fragments, TID: 2,
				Fragments: []wire.Fragment{{Offset: off, Data: packed[off:min(off+fragmentSize, len(packed))]}}})
		}
		if got := at(step.key, step.v.ID); got != step.want {
			t.Errorf("%s: stored is %.40q, want %.40q", step.what, got, step.want)
		}
	}
}

// Fragments in any order, twice, overlapping, beyond the end: the value is what was sent, or nothing.
func TestFragmentOrder(t *testing.T) {
	b := newTestbed(t, Config{})
	whole := (&Value{ID: 3, Data: bytes.Repeat([]byte("0123456789"), 500)}).Pack()
	m := &wire.Message{TID: 9, Values: []wire.ValuePart{{Size: len(whole)}}}
	part := b.partials.add(host(1), m, b.now)
	var got [][]byte
	part.complete = func(v [][]byte) { got = v }
	piece := func(index, off, end int, data []byte) {
		b.partials.fragments(host(1), &wire.Message{TID: 9, Fragments: []wire.Fragment{{Index: index, Offset: off, Data: data[off:end]}}}, b.now)
	}
	zeros := make([]byte, len(whole)+5000)
	piece(0, 3840, len(whole), whole)
	piece(0, 1280, 2560, whole)
	piece(0, 1280, 2560, zeros)               // again, with other content
	piece(0, 1000, 1500, zeros)               // overlaps
	piece(0, len(whole), len(whole)+9, zeros) // beyond the end
	piece(1, 0, 10, zeros)                    // of a value that is not there
	piece(0, 2560, 3840, whole)
	if got != nil {
		t.Fatal("complete although the beginning is missing")
	}
	piece(0, 0, 1280, whole)
	if len(got) != 1 || !bytes.Equal(got[0], whole) {
		t.Error("the value differs from what was sent")
	}
}

// An answer is at most so much larger than the question, although its sender may not live where it says.
func TestAmplification(t *testing.T) {
	b := newTestbed(t, Config{})
	for i := range 100 {
		b.putFrom(host(i), Key{byte(i), 1}, Key{1}, b.tokens.issue(host(i)), &Value{ID: uint64(i + 1), Data: bytes.Repeat([]byte("x"), 500)})
		v := &Value{ID: uint64(1000 + i), Data: make([]byte, 60_000)}
		b.store.put(Key{1}, v, v.Pack(), b.now, b.now, host(i).Addr())
	}
	size := 0
	for _, p := range b.receive(host(1), &wire.Message{Kind: wire.Request, Method: wire.Get, TID: 1, ID: Key{1}, Target: Key{1}}) {
		size += len(p.msg.Append(nil))
	}
	if size > maxAnswerBytes+maxAnswerBytes/10 {
		t.Errorf("an answer of %d bytes", size)
	}
}

// All values of a key that has more than one answer holds are found nevertheless, value by value.
func TestMoreThanOneAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := startMemNetwork(t, newMemNet(), 3, Config{})
		defer closeAll(t, nodes...)
		for i := range 30 {
			data := append(fmt.Appendf(nil, "%02d", i), make([]byte, 20_000)...)
			if err := nodes[1].Put(context.Background(), Key{1}, &Value{Data: data}); err != nil {
				t.Fatal(err)
			}
		}
		if found := find(t, nodes[2], Key{1}); len(found) != 30 {
			t.Errorf("found %d of 30 values", len(found))
		}
		client := startMem(t, nodes[0].conns[ipv4].(*memConn).net, Config{Bootstrap: []string{nodes[0].testAddr()}})
		defer closeAll(t, client)
		if err := client.WaitConnected(context.Background()); err != nil {
			t.Fatal(err)
		}
		if found := find(t, client, Key{1}); len(found) != 30 {
			t.Errorf("a newcomer found %d of 30 values", len(found))
		}
	})
}
