package commit

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/dht/value"
)

const device = "866e1baf004e6ded4bd623d3ccf7ec8951086f85621ac4117bbdeac69696ef0f"

func sample(t testing.TB) (*Commit, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	id, err := value.ParseLongID(device)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Draft{
		Tree:    plumbing.NewHash("418535e21fb123fedf51214d60b90fe261de2cb1"),
		Parents: []plumbing.Hash{plumbing.NewHash("482d0e8f0c83afc4c90a772cccf1e344f8831e33")},
		Name:    "Bo<b>\n", Device: id, Time: time.Unix(1795422913, 999), Text: Text("hé 👋").Text(),
	}.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

func TestSignAndVerify(t *testing.T) {
	c, key := sample(t)
	want := "tree 418535e21fb123fedf51214d60b90fe261de2cb1\n" +
		"parent 482d0e8f0c83afc4c90a772cccf1e344f8831e33\n" +
		"author Bob <" + device + "> 1795422913 +0000\n" +
		"committer Bob <" + device + "> 1795422913 +0000\n" +
		"\n" + `{"body":"h\u00e9 \ud83d\udc4b","type":"text/plain"}`
	if string(c.Signed()) != want {
		t.Errorf("signed are\n%s\nwant\n%s", c.Signed(), want)
	}
	if err := c.Verify(&key.PublicKey); err != nil {
		t.Error(err)
	}
	if !bytes.Contains(c.Raw(), []byte(" +0000\nsignature ")) || bytes.HasSuffix(c.Raw(), []byte("\n")) {
		t.Errorf("raw is %s", c.Raw())
	}
	other, _ := rsa.GenerateKey(rand.Reader, 2048)
	if err := c.Verify(&other.PublicKey); !errors.Is(err, ErrSignature) {
		t.Errorf("with another key: %v", err)
	}
	again, err := Parse(c.Raw())
	if err != nil || again.ID != c.ID || again.Name != "Bob" || again.Device.String() != device || again.Time.Unix() != 1795422913 {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestParseRefuses(t *testing.T) {
	c, _ := sample(t)
	good := string(c.Raw())
	for name, bad := range map[string]string{
		"nothing":             "",
		"no end of headers":   strings.Split(good, "\n\n")[0],
		"no tree":             strings.Replace(good, "tree ", "twig ", 1),
		"upper case id":       strings.Replace(good, "418535e21fb1", "418535E21FB1", 1),
		"short id":            strings.Replace(good, "418535e21fb1", "", 1),
		"three parents":       strings.Replace(good, "author", strings.Repeat("parent 482d0e8f0c83afc4c90a772cccf1e344f8831e33\n", 2)+"author", 1),
		"two authors":         strings.Replace(good, "committer", "author", 1),
		"other committer":     strings.Replace(good, "committer Bob", "committer Eve", 1),
		"time zone":           strings.ReplaceAll(good, "+0000", "+0100"),
		"time with a plus":    strings.ReplaceAll(good, "> 17", "> +17"),
		"mail is no device":   strings.ReplaceAll(good, device, "bob@example.org"),
		"encoding":            strings.Replace(good, "signature ", "encoding x\nsignature ", 1),
		"after the signature": strings.Replace(good, "\n\n", "\nextra x\n\n", 1),
		"continued signature": strings.Replace(good, "\n\n", "\n AAAA\n\n", 1),
		"two signatures":      strings.Replace(good, "signature ", "signature AAAA\nsignature ", 1),
		"bad base64":          strings.Replace(good, "signature ", "signature *", 1),
		"not UTF-8":           good + "\xff",
		"too long":            good + strings.Repeat("x", MaxSize),
	} {
		if _, err := Parse([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What we write is, byte for byte, what daemons wrote (see the captures in
// ../repo/testdata for whole histories).
func TestMessagesAsDaemonsWriteThem(t *testing.T) {
	id := plumbing.NewHash("a23db050f551be2ff19c6a6ac87aaa0b000d236d")
	bob := "5e652a33b9d51b8792ea779b95f8be1cac8f108a"
	for want, m := range map[string]Message{
		`{"invited":"` + bob + `","mode":0,"type":"initial"}`:                                                                            Initial(OneToOne, bob),
		`{"mode":2,"type":"initial"}`:                                                                                                    Initial(InvitesOnly, ""),
		`{"action":"join","type":"member","uri":"` + bob + `"}`:                                                                          Member(ActionJoin, bob),
		`{"type":"vote","uri":"` + bob + `"}`:                                                                                            Vote(bob),
		`{"body":"hello bob","reply-to":"` + id.String() + `","type":"text/plain"}`:                                                      Reply("hello bob", id),
		`{"body":"\ud83d\udc4b","react-to":"` + id.String() + `","type":"text/plain"}`:                                                   React("👋", id),
		`{"body":"hello Carol!","edit":"` + id.String() + `","type":"application/edited-message"}`:                                       Edit("hello Carol!", id),
		`{"displayName":"note.txt","sha3sum":"ba52","tid":"4552712665088882","totalSize":"260","type":"application/data-transfer+json"}`: File("note.txt", "ba52", "4552712665088882", 260),
		`{"confId":"63","device":"d","duration":"9142","type":"application/call-history+json","uri":"u"}`:                                CallEnded("63", "d", "u", 9142),
		`{"type":"application/update-profile"}`:                                                                                          UpdateProfile(),
		`Merge commit 'a23db050f551be2ff19c6a6ac87aaa0b000d236d'`:                                                                        Merge(id),
		`{"body":"a\"\\/\n\t\u0001\u007f","type":"text/plain"}`:                                                                          Text("a\"\\/\n\t\x01\x7f"),
	} {
		if strings.Contains(want, `\u007f`) {
			want = strings.ReplaceAll(want, `\u007f`, "\x7f") // is ASCII
		}
		if got := m.Text(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if m.Type == TypeMerge {
			continue
		}
		back, err := parseMessage(want)
		if err != nil || back.Text() != want {
			t.Errorf("%s: read as %s, %v", want, back.Text(), err)
		}
	}
}

func TestParseMessage(t *testing.T) {
	for bad, text := range map[string]string{
		"no JSON": "hi", "no object": `["x"]`, "no type": `{"body":"x"}`, "type is no string": `{"type":3}`,
		"initial without mode": `{"type":"initial"}`, "mode is no number": `{"type":"initial","mode":"2"}`, "merge": `{"type":"merge"}`,
	} {
		if m, err := parseMessage(text); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: %+v, %v", bad, m, err)
		}
	}
	m, err := parseMessage(`{"type":"new/type","nested":{"a":1},"x":"y"}`)
	if err != nil || m.Get("x") != "y" || m.Type != "new/type" {
		t.Errorf("%+v, %v", m, err)
	}
}

func FuzzParse(f *testing.F) {
	c, _ := sample(f)
	f.Add(c.Raw())
	f.Add(c.Signed())
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := Parse(raw)
		if err != nil {
			return
		}
		if !bytes.Equal(c.Raw(), raw) || len(c.Signed()) > len(raw) {
			t.Error("not the same bytes")
		}
		_, _ = ParseMessage(c)
	})
}

func FuzzMessage(f *testing.F) {
	f.Add(Text("hi").Text())
	f.Add(Initial(OneToOne, "x").Text())
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseMessage(text)
		if err != nil {
			return
		}
		again, err := parseMessage(m.Text())
		if err != nil || again.Text() != m.Text() {
			t.Errorf("%q becomes %q, %v", m.Text(), again.Text(), err)
		}
	})
}
