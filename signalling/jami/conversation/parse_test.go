package conversation

import (
	"bytes"
	"errors"
	"testing"

	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
)

func TestMsgAndFind(t *testing.T) {
	b := packMsg(7, "application/x", []byte("hello"))
	mime, body, used, err := parseMsg(append(bytes.Clone(b), b...))
	if err != nil || mime != "application/x" || string(body) != "hello" || used != len(b) {
		t.Error(mime, body, used, err)
	}
	if _, _, _, err := parseMsg(b[:len(b)-1]); !errors.Is(err, msgpack.ErrTruncated) {
		t.Error(err)
	}
	// A request as newer daemons write it (docs/jami/swarm.md#neighbours).
	f := msgpack.AppendMap(nil, 3)
	f = msgpack.AppendInt(msgpack.AppendString(f, "v"), 3)
	f = msgpack.AppendMap(msgpack.AppendString(f, "request"), 3)
	f = msgpack.AppendInt(msgpack.AppendString(f, "q"), 1)
	f = msgpack.AppendInt(msgpack.AppendString(f, "num"), 2)
	f = msgpack.AppendBytes(msgpack.AppendString(f, "nodeId"), make([]byte, 32))
	f = msgpack.AppendNil(msgpack.AppendString(f, "response"))
	if num, used, err := parseFind(f); num != 2 || used != len(f) || err != nil {
		t.Error(num, used, err)
	}
	if num, used, err := parseFind(packFound([]value.LongID{{1}})); num != 0 || used == 0 || err != nil {
		t.Error(num, used, err)
	}
}

func FuzzParsers(f *testing.F) {
	f.Add(packMsg(1, "text/plain", []byte("x")))
	f.Add(packFound([]value.LongID{{1}, {2}}))
	f.Add(recorded(f, "jamid-2026.msg"))
	f.Add(recorded(f, "jamid-2026.swarm"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, _, _ = parseMsg(b)
		_, _, _ = parseFind(b)
	})
}
