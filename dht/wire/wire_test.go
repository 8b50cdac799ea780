package wire

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"rendezvous/dht/value"
)

// vectors returns the datagrams of the capture: what was sent to a dhtnode and what it answered.
func vectors(t testing.TB) (sent, received [][]byte) {
	f, err := os.Open("testdata/dht-wire.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		words := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, ">> "):
			b, err := hex.DecodeString(words[len(words)-1])
			if err != nil {
				t.Fatal(err)
			}
			sent = append(sent, b)
		case strings.HasPrefix(line, "    "):
			b, err := hex.DecodeString(words[0])
			if err != nil {
				t.Fatal(err)
			}
			received = append(received, b)
		}
	}
	if len(sent) != 17 || len(received) < 30 {
		t.Fatalf("read %d sent and %d received vectors", len(sent), len(received))
	}
	return sent, received
}

// Everything a dhtnode sent is decoded and written again to the same bytes.
func TestReferenceBytes(t *testing.T) {
	sent, received := vectors(t)
	for _, p := range append(sent, received...) {
		m, err := Decode(p)
		if err != nil {
			t.Errorf("decode %x: %v", p, err)
			continue
		}
		if m.Method == Get && m.Target.IsZero() {
			continue // a request that is wrong on purpose
		}
		if got := m.Append(nil); !bytes.Equal(got, p) {
			if bytes.Contains(p, []byte("\xa1t\xc4\x04")) || bytes.Contains(p, []byte("\xa1t\xa4")) {
				continue // transaction ids in the old forms, which we read but do not write
			}
			t.Errorf("written again:\n got %x\nwant %x", got, p)
		}
	}
}

func TestDecodeFields(t *testing.T) {
	from := value.Key{0x33, 0xb0, 0xc4, 0x4b, 0x89, 0x05, 0xf3, 0x0a, 0x4c, 0x10, 0x82, 0x36, 0x3d, 0x96, 0xe9, 0x38, 0x79, 0x5f, 0x7c, 0x02}
	_, received := vectors(t)
	pong, err := Decode(received[0])
	if err != nil {
		t.Fatal(err)
	}
	if pong.Kind != Reply || pong.ID != from || pong.TID != 0x01020304 || pong.SeenAt.String() != "127.0.0.1" {
		t.Errorf("pong: %+v", pong)
	}
	got, err := Decode(received[2])
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Nodes4) != 1 || got.Nodes4[0].Addr.String() != "127.0.0.1:4302" || len(got.Token) != 32 ||
		len(got.Values) != 3 || got.Values[2].Size != 3038 {
		t.Errorf("get answer: %+v", got)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty":                 "",
		"no map":                "93010203",
		"no id":                 "84a16180a171a470696e67a17401a179a171",
		"zero id":               "84a16181a26964c4140000000000000000000000000000000000000000a171a470696e67a17401a179a171",
		"short id":              "84a16181a26964c4130102030405060708090a0b0c0d0e0f10111213a171a470696e67a17401a179a171",
		"id as str":             "84a16181a26964b40102030405060708090a0b0c0d0e0f1011121314a171a470696e67a17401a179a171",
		"zero tid":              "84a16181a26964c4140102030405060708090a0b0c0d0e0f1011121314a171a470696e67a17400a179a171",
		"huge map":              "dfffffffff",
		"huge values":           "82a16182a26964c4140102030405060708090a0b0c0d0e0f1011121314a676616c756573ddffffffff",
		"odd node list":         "83a17282a26964c4140102030405060708090a0b0c0d0e0f1011121314a26e34c41900000000000000000000000000000000000000000000000000a17401a179a172",
		"extension type":        "84a16181a26964c4140102030405060708090a0b0c0d0e0f1011121314a171a470696e67a17401a178d40100",
		"nested beyond bound":   "81a178" + strings.Repeat("91", 20) + "00",
		"value index too large": "83a179a170a17407a17081ce7fffffff82a16f00a164c40100",
	} {
		p, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := Decode(p); err == nil {
			t.Errorf("%s: decoded as %+v", name, m)
		}
	}
}

func FuzzDecode(f *testing.F) {
	sent, received := vectors(f)
	for _, p := range append(sent, received...) {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		m, err := Decode(p)
		if err != nil {
			return
		}
		// What was understood survives writing and reading, unless it is a mixture no method has.
		again, err := Decode(m.Append(nil))
		if m.Kind == OldUpdate {
			return
		}
		if err != nil {
			t.Fatalf("written again, unreadable: %v\n%+v", err, m)
		}
		if again.Kind != m.Kind || again.TID != m.TID || again.ID != m.ID || again.Network != m.Network {
			t.Fatalf("written again, different:\n%+v\n%+v", m, again)
		}
	})
}

// A query that is kept must not change with the buffer that it was read from.
func TestClonedQuery(t *testing.T) {
	read := []byte("abc")
	q := &Query{Select: []Field{FieldID}, Where: []FieldValue{{Field: FieldUserType, Blob: read}}}
	kept := q.Clone()
	read[0] = 'x'
	if kept == nil || len(kept.Select) != 1 || len(kept.Where) != 1 || string(kept.Where[0].Blob) != "abc" {
		t.Errorf("the clone is %+v", kept)
	}
	if none := (*Query)(nil).Clone(); none != nil {
		t.Errorf("the clone of nil is %+v", none)
	}
}
