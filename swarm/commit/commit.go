// Package commit reads and writes the commits of conversations, byte for byte:
// raw git commit objects whose last header is "signature" (not gpgsig), made by
// the device whose id is the author's mail address, and the messages in them.
//
// A commit is never re-encoded: its id is the hash of the bytes that its author
// wrote, so those bytes are kept.
package commit

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/dht/value"
)

// MaxSize bounds a commit object, message and all.
const MaxSize = 1 << 20

// ErrMalformed is wrapped by the errors of Parse.
var ErrMalformed = errors.New("malformed commit")

// ErrSignature says that a commit's signature is missing or wrong.
var ErrSignature = errors.New("bad signature")

// Commit is a commit object of git, of the form that Jami gives it: the device as author
// and committer, signed in a header.
type Commit struct {
	ID      plumbing.Hash
	Tree    plumbing.Hash
	Parents []plumbing.Hash
	// Name is the author's display name at the time. It proves nothing.
	Name string
	// Device made and signed the commit.
	Device value.LongID
	Time   time.Time // whole seconds, UTC
	// Signature is RSASSA-PKCS1-v1_5 with SHA-512 over the commit without it;
	// nil if the commit has none.
	Signature []byte
	// Text is what the commit says: JSON, or plain words in merges.
	Text string

	raw    []byte
	signed []byte // raw without the signature header
}

// Draft is what goes into a commit, before Sign makes one of it. An empty Name becomes the device's id.
type Draft struct {
	Tree    plumbing.Hash
	Parents []plumbing.Hash
	Name    string
	Device  value.LongID
	Time    time.Time
	Text    string
}

// Sign makes the commit with the device's key. It fails as crypto/rsa does, and as Parse
// for a draft that nobody else would take, such as one of more than MaxSize bytes.
func (d Draft) Sign(key *rsa.PrivateKey) (*Commit, error) {
	name := cleanName(d.Name)
	if name == "" {
		name = d.Device.String()
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "tree %s\n", d.Tree)
	for _, p := range d.Parents {
		fmt.Fprintf(&head, "parent %s\n", p)
	}
	for _, role := range []string{"author", "committer"} {
		fmt.Fprintf(&head, "%s %s <%s> %d +0000\n", role, name, d.Device, d.Time.Unix())
	}
	signed := []byte(head.String() + "\n" + d.Text)
	digest := sha512.Sum512(signed)
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA512, digest[:])
	if err != nil {
		return nil, fmt.Errorf("signing a commit: %w", err)
	}
	raw := []byte(head.String() + "signature " + base64.StdEncoding.EncodeToString(sig) + "\n\n" + d.Text)
	return Parse(raw)
}

// cleanName takes out what cannot stand in an author line.
func cleanName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '<' || r == '>' || r < ' ' || r == utf8.RuneError {
			return -1
		}
		return r
	}, name)
	return strings.TrimSpace(name)
}

// Parse reads a commit object (without git's "commit SIZE\0" before it). It is
// strict: what Jami never writes is refused. It keeps raw.
func Parse(raw []byte) (*Commit, error) {
	if len(raw) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(raw))
	}
	c := &Commit{raw: raw}
	rest := raw
	var author string
	for want := "tree"; ; {
		line, after, ok := bytes.Cut(rest, []byte("\n"))
		if !ok {
			return nil, fmt.Errorf("%w: header without end", ErrMalformed)
		}
		if len(line) == 0 {
			if want != "end" && want != "signature" {
				return nil, fmt.Errorf("%w: no %s", ErrMalformed, want)
			}
			if c.signed == nil {
				c.signed = raw
			}
			c.Text = string(after)
			break
		}
		key, val, _ := strings.Cut(string(line), " ")
		var err error
		switch {
		case key == "tree" && want == "tree":
			c.Tree, err = parseHash(val)
			want = "parent"
		case key == "parent" && want == "parent":
			var p plumbing.Hash
			p, err = parseHash(val)
			if c.Parents = append(c.Parents, p); len(c.Parents) > 2 {
				err = errors.New("more than two parents")
			}
		case key == "author" && want == "parent":
			author = val
			err = c.parseAuthor(val)
			want = "committer"
		case key == "committer" && want == "committer":
			if val != author {
				err = errors.New("author and committer differ")
			}
			want = "signature"
		case key == "signature" && want == "signature":
			c.Signature, err = base64.StdEncoding.Strict().DecodeString(val)
			start := len(raw) - len(rest)
			c.signed = append(append(make([]byte, 0, len(raw)), raw[:start]...), after...)
			want = "end"
		default:
			err = fmt.Errorf("unexpected header %.20q", key)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		rest = after
	}
	if !utf8.ValidString(c.Text) {
		return nil, fmt.Errorf("%w: message is not UTF-8", ErrMalformed)
	}
	c.ID = plumbing.ComputeHash(plumbing.CommitObject, raw)
	return c, nil
}

func parseHash(s string) (plumbing.Hash, error) {
	h := plumbing.NewHash(s)
	if len(s) != 40 || h.String() != s {
		return plumbing.ZeroHash, fmt.Errorf("bad object id %.50q", s)
	}
	return h, nil
}

// parseAuthor reads "NAME <DEVICE> SECONDS +0000".
func (c *Commit) parseAuthor(s string) error {
	bad := fmt.Errorf("bad author %.100q", s)
	name, rest, ok := strings.Cut(s, " <")
	id, when, ok2 := strings.Cut(rest, "> ")
	seconds, ok3 := strings.CutSuffix(when, " +0000")
	if !ok || !ok2 || !ok3 || strings.ContainsAny(name, "<>\x00") {
		return bad
	}
	var err error
	if c.Device, err = value.ParseLongID(id); err != nil || c.Device.String() != id {
		return bad
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != seconds {
		return bad
	}
	c.Name, c.Time = name, time.Unix(n, 0).UTC()
	return nil
}

// Raw is the object as it is stored. Callers must not change it.
func (c *Commit) Raw() []byte { return c.raw }

// Signed is what the signature is over. Callers must not change it.
func (c *Commit) Signed() []byte { return c.signed }

// Verify checks the signature with the device's key. If it is missing or wrong, the error
// wraps ErrSignature. Whether the device may sign is for package repo to judge.
func (c *Commit) Verify(pub *rsa.PublicKey) error {
	if c.Signature == nil {
		return fmt.Errorf("%w: commit %s is not signed", ErrSignature, c.ID)
	}
	digest := sha512.Sum512(c.signed)
	if err := rsa.VerifyPKCS1v15(pub, crypto.SHA512, digest[:], c.Signature); err != nil {
		return fmt.Errorf("%w: commit %s: %w", ErrSignature, c.ID, err)
	}
	return nil
}

// isMerge reports whether the commit joins two lines of history.
func (c *Commit) isMerge() bool { return len(c.Parents) == 2 }
