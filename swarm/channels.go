package swarm

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/swarm/gitwire"
	"rendezvous/swarm/repo"
)

// Schemes are the beginnings of the channel names that a Swarm serves.
var Schemes = []string{"git://", "data-transfer://"}

// maxVCard bounds a profile that a member sends.
const maxVCard = 1 << 20

var errNotFound = errors.New("no such conversation") // also for who may not know that there is one

// AcceptChannel decides about a channel that a device asks for.
func (s *Swarm) AcceptChannel(p Peer, name string) bool {
	s.mu.Lock()
	busy := s.serving[p.Device.Long] >= maxServing
	s.mu.Unlock()
	if busy {
		return false
	}
	if rest, ok := strings.CutPrefix(name, "git://"); ok {
		device, id, _ := strings.Cut(rest, "/")
		_, err := s.readable(p, id)
		return err == nil && device == s.device.Long.String()
	}
	if rest, ok := strings.CutPrefix(name, "data-transfer://"); ok {
		_, err := s.transfer(p, rest)
		if err != nil {
			s.log.Debug("swarm: file refused", "to", p.Account, "name", name, "error", err)
			s.cfg.Metrics.file("refused")
		}
		return err == nil
	}
	return false
}

// readable finds a conversation that a device may fetch. When our account has left, its other
// devices are to see that.
func (s *Swarm) readable(p Peer, id string) (*repo.Repository, error) {
	c := s.Conversation(id)
	if c == nil {
		return nil, errNotFound
	}
	left := p.Account == s.account && !c.repo.Role(s.account).Belongs()
	if !left && !c.repo.MayRead(p.Account, p.Device.Long) {
		return nil, errNotFound
	}
	return c.repo, nil
}

// ServeChannel has a channel that was accepted, until it returns.
func (s *Swarm) ServeChannel(p Peer, name string, ch net.Conn) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.serving[p.Device.Long]++
	s.wg.Add(1)
	s.mu.Unlock()
	stop := context.AfterFunc(s.ctx, func() { ch.Close() })
	defer func() {
		stop()
		s.mu.Lock()
		if s.serving[p.Device.Long]--; s.serving[p.Device.Long] <= 0 {
			delete(s.serving, p.Device.Long)
		}
		s.mu.Unlock()
		s.wg.Done()
	}()
	var err error
	if _, ok := strings.CutPrefix(name, "git://"); ok {
		err = gitwire.Serve(ch, func(id string) (*repo.Repository, error) { return s.readable(p, id) },
			func(r *repo.Repository, head plumbing.Hash, sent bool) { s.served(p, r.ID().String(), head, sent) })
	} else if rest, ok := strings.CutPrefix(name, "data-transfer://"); ok {
		var t transfer
		if t, err = s.transfer(p, rest); err == nil {
			err = t.serve(ch)
		}
	}
	if err != nil && s.ctx.Err() == nil {
		s.log.Info("swarm: channel ends", "with", p.Account, "name", name, "error", err)
	}
}

// transfer is what happens on a data-transfer channel.
type transfer struct {
	serve func(net.Conn) error
}

// transfer reads a name without its scheme and checks that the peer may.
func (s *Swarm) transfer(p Peer, rest string) (transfer, error) {
	name, query, _ := strings.Cut(rest, "?")
	parts := strings.Split(name, "/")
	if len(parts) != 3 {
		return transfer{}, errors.New("malformed name")
	}
	c := s.Conversation(parts[0])
	if c == nil || !c.repo.MayHaveFiles(p.Account, p.Device.Long) {
		return transfer{}, errNotFound
	}
	switch {
	case parts[1] == "profile": // they want a profile: we have our own
		if parts[2] != s.account.String()+".vcf" || s.cfg.VCard == nil {
			return transfer{}, errors.New("no such profile")
		}
		return transfer{func(ch net.Conn) error {
			if err := ch.SetWriteDeadline(time.Now().Add(stallTime)); err != nil {
				return err
			}
			_, err := ch.Write(s.cfg.VCard())
			return err
		}}, nil
	case parts[1] != p.Device.Long.String():
		return transfer{}, errors.New("the name has another device than the peer's")
	case parts[2] == "profile.vcf": // they send theirs
		return transfer{func(ch net.Conn) error { return s.receiveVCard(p, ch) }}, nil
	}
	f, err := c.offer(parts[2], query)
	if err != nil {
		return transfer{}, err
	}
	return transfer{func(ch net.Conn) error {
		err := f.send(ch)
		if err == nil {
			s.cfg.Metrics.file("sent")
			linger(ch)
		} else {
			s.cfg.Metrics.file("failed")
		}
		return err
	}}, nil
}

// lingerTime is how long a channel stays open when all of a file has been written. A daemon
// that sees the end of it before it has begun to read, as with a small file, never notices
// that it has the file.
const lingerTime = 500 * time.Millisecond

// linger waits, until the other side closes the channel.
func linger(ch net.Conn) {
	if ch.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = ch.Read(make([]byte, 1)) // its end or the deadline
	}
}

func (s *Swarm) receiveVCard(p Peer, ch net.Conn) error {
	if err := ch.SetReadDeadline(time.Now().Add(stallTime)); err != nil {
		return err
	}
	card, err := io.ReadAll(io.LimitReader(ch, maxVCard+1))
	if err != nil {
		return err
	}
	if len(card) > maxVCard {
		return errors.New("a profile that is too big")
	}
	if len(card) > 0 && s.cfg.OnVCard != nil {
		s.events.add(func() { s.cfg.OnVCard(p, card) })
	}
	return nil
}
