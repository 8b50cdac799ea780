package gitwire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/swarm/pack"
)

// havesPerWrite keeps each write far below what a channel sends at once: the
// server of daemons needs every line whole within one read.
const havesPerWrite = 100

// maxRefs bounds the references a server may list.
const maxRefs = 100_000

// Local is what the fetching side has.
type Local interface {
	// Has reports whether we have a commit.
	Has(plumbing.Hash) bool
	// Haves lists commits that we have, the newest first, for the server to find what we
	// lack.
	Haves() []plumbing.Hash
	// Object returns an object that deltas may be made against.
	Object(plumbing.Hash) (pack.Object, bool)
}

// Client fetches over one channel, one request at a time.
type Client struct{ channel }

// NewClient returns a client on a channel that was just opened.
func NewClient(ch net.Conn) *Client { return &Client{newChannel(ch, lineTime)} }

// Close ends the channel, and a Fetch that waits on it. The error is the channel's.
func (c *Client) Close() error { return c.conn.Close() }

// Fetch gets what is missing of a conversation. host is what the server is
// called: its device id. local is nil for a clone. It returns the server's newest
// commit, and the objects that came: none if there was nothing new. progress, if
// not nil, is told how many of how many objects have come. After an error the
// channel must be closed.
func (c *Client) Fetch(host, conversation string, local Local, limits pack.Limits, progress func(done, total int)) (plumbing.Hash, map[plumbing.Hash]pack.Object, error) {
	head, objects, err := c.fetch(host, conversation, local, limits, progress)
	if err != nil {
		return plumbing.ZeroHash, nil, fmt.Errorf("fetching %s from %s: %w", conversation, host, err)
	}
	return head, objects, nil
}

func (c *Client) fetch(host, conversation string, local Local, limits pack.Limits, progress func(done, total int)) (plumbing.Hash, map[plumbing.Hash]pack.Object, error) {
	none := plumbing.ZeroHash
	if err := c.write(appendLine(nil, "git-upload-pack /"+conversation+"\x00host="+host+"\x00")); err != nil {
		return none, nil, err
	}
	head, err := c.advertised()
	if err != nil {
		return none, nil, err
	}
	if local != nil && local.Has(head) {
		return head, nil, c.write([]byte(flush))
	}
	var haves []plumbing.Hash
	if local != nil {
		haves = local.Haves()
	}
	b := appendLine(nil, "want "+head.String()+" side-band-64k include-tag \n")
	b = append(b, flush...)
	for i, h := range haves {
		b = appendLine(b, "have "+h.String()+"\n")
		if i%havesPerWrite == havesPerWrite-1 {
			if err := c.write(b); err != nil {
				return none, nil, err
			}
			b = b[:0]
		}
	}
	if err := c.write(appendLine(b, "done\n")); err != nil {
		return none, nil, err
	}
	var base func(plumbing.Hash) (pack.Object, bool)
	if local != nil {
		base = local.Object
	}
	in := &receiver{c: c}
	objects, err := pack.Read(in, limits, base, progress)
	if err != nil {
		if in.err != nil && !errors.Is(in.err, io.EOF) {
			err = in.err // what the server said, rather than that the pack is cut off
		}
		return none, nil, err
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(in, maxLine)); err != nil || n > 0 {
		return none, nil, errors.Join(protocol("%d bytes after the pack", n), err)
	}
	// As libgit2 does: it tells the server that this is over.
	return head, objects, c.write([]byte(flush))
}

// advertised reads the list of references and returns main's.
func (c *Client) advertised() (plumbing.Hash, error) {
	main := plumbing.ZeroHash
	patience := listTime
	for range maxRefs {
		line, err := c.lineWithin(patience)
		patience = c.patience
		if err != nil {
			return main, err
		}
		if line == nil {
			if main.IsZero() {
				return main, protocol("the server has no branch main")
			}
			return main, nil
		}
		text, _, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), "\x00")
		if reason, bad := strings.CutPrefix(text, "ERR "); bad {
			return main, protocol("the server says %.200q", reason)
		}
		id, name, ok := strings.Cut(text, " ")
		if !ok || !plumbing.IsHash(id) {
			return main, protocol("reference %.100q", text)
		}
		if name == "refs/heads/main" {
			main = plumbing.NewHash(id)
		}
	}
	return main, protocol("more than %d references", maxRefs)
}

// receiver reads the pack out of the side-band lines up to their end.
type receiver struct {
	c    *Client
	rest []byte
	err  error
}

func (r *receiver) Read(p []byte) (int, error) {
	for len(r.rest) == 0 && r.err == nil {
		r.err = r.next()
	}
	if len(r.rest) == 0 {
		return 0, r.err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *receiver) next() error {
	line, err := r.c.line()
	switch {
	case err != nil:
		return err
	case line == nil:
		return io.EOF
	case len(line) == 0:
		return protocol("an empty line")
	case line[0] == 1:
		r.rest = line[1:]
	case line[0] == 2: // progress, for people
	case line[0] == 3:
		return protocol("the server says %.200q", line[1:])
	case bytes.HasPrefix(line, []byte("ACK ")), bytes.HasPrefix(line, []byte("NAK")):
	case bytes.HasPrefix(line, []byte("ERR ")):
		return protocol("the server says %.200q", line[4:])
	default:
		return protocol("%.50q instead of a pack", line)
	}
	return nil
}
