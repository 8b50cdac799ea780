package gitwire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/swarm/repo"
)

// maxHaves bounds what a client may ask.
const maxHaves = 4096

// capabilities are those of daemons, without shallow, which they never use.
const capabilities = "side-band side-band-64k no-progress include-tag agent=rendezvous"

// bandSize is how much of a pack goes into one line: a channel sends 16 kB at once.
const bandSize = 16<<10 - 8

// Find returns the conversation that a client asks for, or why it may not have
// it. It is asked for every request.
type Find func(conversation string) (*repo.Repository, error)

// Serve answers requests until the channel ends. fetched, if not nil, is told after each
// request what the client has now, and whether it was sent a pack. It returns nil when
// the client has ended the channel; the error wraps ErrProtocol for what is no request,
// os.ErrDeadlineExceeded for a client that neither asks nor reads, or is find's.
func Serve(ch net.Conn, find Find, fetched Fetched) error {
	s := &server{newChannel(ch, askTime), find, fetched}
	for {
		if err := s.request(); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("serving: %w", err)
		}
	}
}

// Fetched is told of a request that was answered.
type Fetched func(r *repo.Repository, head plumbing.Hash, sent bool)

type server struct {
	channel
	find    Find
	fetched Fetched
}

// request answers one request, from "git-upload-pack" to the end of the pack.
func (s *server) request() error {
	// Between requests a client may be silent for days.
	if err := s.conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	first, err := readLine(s.r)
	if err != nil {
		return err
	}
	if first == nil {
		return nil // the client's farewell to the request before
	}
	conversation, err := parseRequest(string(first))
	if err != nil {
		return err
	}
	r, err := s.find(conversation)
	if err != nil {
		_ = s.write(appendLine(nil, "ERR "+err.Error()+"\n"))
		return err
	}
	head := r.Head()
	advert := appendLine(nil, head.String()+" HEAD\x00"+capabilities+"\n")
	advert = appendLine(advert, head.String()+" refs/heads/main\n")
	if err := s.write(append(advert, flush...)); err != nil {
		return err
	}
	want, options, err := s.wants()
	if err != nil {
		return err
	}
	sent := !want.IsZero()
	if sent {
		if err := s.send(r, want, options); err != nil {
			return err
		}
		head = want
	}
	if s.fetched != nil {
		s.fetched(r, head, sent)
	}
	return nil
}

// parseRequest reads "git-upload-pack /CONVERSATION\0host=DEVICE\0…".
func parseRequest(line string) (conversation string, err error) {
	command, _, _ := strings.Cut(line, "\x00")
	service, path, _ := strings.Cut(strings.TrimSuffix(command, "\n"), " ")
	if service != "git-upload-pack" {
		return "", protocol("request %.50q", line)
	}
	return strings.TrimPrefix(path, "/"), nil
}

// wants reads "want ID options" lines; the last counts. It returns the zero hash
// if the client wants nothing.
func (s *server) wants() (want plumbing.Hash, options string, err error) {
	for range maxHaves {
		line, err := s.line()
		if err != nil {
			return want, "", err
		}
		if line == nil {
			return want, options, nil
		}
		id, opts, err := parseID(line, "want ")
		if err != nil {
			return want, "", err
		}
		if options == "" {
			options = opts
		}
		want = id
	}
	return want, "", protocol("more than %d wants", maxHaves)
}

func parseID(line []byte, prefix string) (plumbing.Hash, string, error) {
	rest, ok := strings.CutPrefix(strings.TrimSuffix(string(line), "\n"), prefix)
	id, options, _ := strings.Cut(rest, " ")
	if !ok || !plumbing.IsHash(id) || len(id) != 40 {
		return plumbing.ZeroHash, "", protocol("%.60q", line)
	}
	return plumbing.NewHash(id), options, nil
}

// send finds out what the client has and sends the rest. libgit2, which daemons
// use, expects an answer to "done" always; git none if it got an ACK before.
func (s *server) send(r *repo.Repository, want plumbing.Hash, options string) error {
	var have []plumbing.Hash
	acked, last := false, ""
	for done, n := false, 0; !done; n++ {
		if n > maxHaves {
			return protocol("more than %d haves", maxHaves)
		}
		line, err := s.line()
		if err != nil {
			return err
		}
		var answer string
		switch {
		case line == nil && len(have) == 0:
			answer = "NAK\n"
		case line == nil:
			if !acked {
				answer, acked = "ACK "+have[0].String()+"\n", true
			}
		case strings.TrimSpace(string(line)) == "done":
			done = true
			switch {
			case len(have) == 0:
				answer = "NAK\n"
			case !acked || !strings.Contains(options, "agent=git/"):
				answer = "ACK " + have[0].String() + "\n"
			}
		default:
			id, _, err := parseID(line, "have ")
			if err != nil {
				return err
			}
			if r.Has(id) {
				have = append(have, id)
			}
		}
		if done {
			last = answer
		} else if answer != "" {
			if err := s.write(appendLine(nil, answer)); err != nil {
				return err
			}
		}
	}
	p, err := r.PackFor(want, have)
	if err != nil {
		return err
	}
	band := strings.Contains(options, "side-band")
	// The answer, the pack and its end go out together, as daemons send them.
	out := bufio.NewWriterSize(writer{&s.channel}, 16<<10)
	if last != "" {
		out.Write(appendLine(nil, last)) // an error stays with out
	}
	w := bufio.NewWriterSize(sender{out, band, options}, bandSize)
	if err := p.Write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if band {
		out.WriteString(flush)
	}
	return out.Flush()
}

// writer is the channel with deadlines.
type writer struct{ c *channel }

func (w writer) Write(p []byte) (int, error) {
	if err := w.c.write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// sender puts a pack into side-band lines.
type sender struct {
	out     io.Writer
	band    bool
	options string
}

func (w sender) Write(p []byte) (int, error) {
	if !w.band {
		return w.out.Write(p)
	}
	size := bandSize
	if !strings.Contains(w.options, "side-band-64k") {
		size = 995 // side-band: lines of up to 1000
	}
	for n := 0; n < len(p); n += size {
		if _, err := w.out.Write(appendLine(nil, "\x01"+string(p[n:min(n+size, len(p))]))); err != nil {
			return n, err
		}
	}
	return len(p), nil
}
