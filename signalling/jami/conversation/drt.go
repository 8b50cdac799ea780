package conversation

import (
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/connection"
)

// Newer daemons do not connect to all devices of a conversation's members, but to
// a few: those they have a "swarm://CONVERSATION" channel with, over which they
// tell each other who else there is. They announce commits to these neighbours.
// We take such channels, tell which devices we know, and so are a neighbour; we
// need to look for none, as we announce to all members ourselves.

// Bounds of "swarm://" channels.
const (
	drtScheme  = "swarm://"
	maxDRT     = 64 << 10 // bytes of one message
	maxNodes   = 16       // in an answer
	drtVersion = 1        // without the messages about mobile devices
)

// Queries of "swarm://" channels.
const (
	drtFind  = 1
	drtFound = 2
)

// drtAllowed reports whether a device may be a neighbour in the conversation that
// a channel names.
func (s *Service) drtAllowed(p connection.Peer, name string) bool {
	c := s.swarm.Conversation(strings.TrimPrefix(name, drtScheme))
	return c != nil && c.Repository().MayRead(p.Account, p.Device.Long)
}

// serveDRT answers a neighbour until the channel ends.
func (s *Service) serveDRT(p connection.Peer, name string, ch net.Conn) {
	s.background(func() { s.met(p) })
	conversation := strings.TrimPrefix(name, drtScheme)
	var pending []byte
	buf := make([]byte, 16<<10)
	for {
		n, err := ch.Read(buf)
		if err != nil {
			return
		}
		pending = append(pending, buf[:n]...)
		for len(pending) > 0 {
			num, used, err := parseFind(pending)
			if errors.Is(err, msgpack.ErrTruncated) && len(pending) < maxDRT {
				break
			}
			if err != nil || !s.drtAllowed(p, name) {
				s.log.Info("conversation: swarm channel ends", "peer", p.Account, "error", err)
				return
			}
			pending = pending[used:]
			if num == 0 {
				continue // an answer, or something that is no concern of ours
			}
			if err := ch.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
				return
			}
			if _, err := ch.Write(packFound(s.neighbours(conversation, p, num))); err != nil {
				return
			}
		}
	}
}

// neighbours lists devices of the conversation that we are connected with, but
// for the one that asks.
func (s *Service) neighbours(conversation string, asks connection.Peer, num int) []value.LongID {
	c := s.swarm.Conversation(conversation)
	if c == nil {
		return nil
	}
	var out []value.LongID
	for _, p := range s.account.Connected() {
		if p.Device.Long != asks.Device.Long && c.Repository().MayHaveFiles(p.Account, p.Device.Long) {
			out = append(out, p.Device.Long)
		}
	}
	// The nearest to the one who asks, by XOR.
	slices.SortFunc(out, func(a, b value.LongID) int {
		for i := range a {
			if x, y := a[i]^asks.Device.Long[i], b[i]^asks.Device.Long[i]; x != y {
				return int(x) - int(y)
			}
		}
		return 0
	})
	return out[:min(len(out), num, maxNodes)]
}

// parseFind reads one message off the front of b and returns how many nodes it
// asks for: 0 if it asks for none.
func parseFind(b []byte) (num, used int, err error) {
	r := msgpack.NewReader(b)
	for n := r.Map(); n > 0 && r.Err() == nil; n-- {
		if r.Key() != "request" || r.Kind() != msgpack.Map {
			r.Skip()
			continue
		}
		query, wanted := int64(0), int64(0)
		for k := r.Map(); k > 0 && r.Err() == nil; k-- {
			switch r.Key() {
			case "q":
				query = r.Int()
			case "num":
				wanted = r.Int()
			default:
				r.Skip()
			}
		}
		if query == drtFind && wanted > 0 {
			num = int(min(wanted, maxNodes))
		}
	}
	return num, r.Offset(), r.Err()
}

func packFound(nodes []value.LongID) []byte {
	b := msgpack.AppendMap(nil, 4)
	b = msgpack.AppendInt(msgpack.AppendString(b, "v"), drtVersion)
	b = msgpack.AppendBool(msgpack.AppendString(b, "is_mobile"), false)
	b = msgpack.AppendNil(msgpack.AppendString(b, "request"))
	b = msgpack.AppendMap(msgpack.AppendString(b, "response"), 3)
	b = msgpack.AppendInt(msgpack.AppendString(b, "q"), drtFound)
	b = msgpack.AppendArray(msgpack.AppendString(b, "nodes"), len(nodes))
	for _, n := range nodes {
		b = msgpack.AppendBytes(b, n[:])
	}
	return msgpack.AppendArray(msgpack.AppendString(b, "mobile_nodes"), 0)
}
