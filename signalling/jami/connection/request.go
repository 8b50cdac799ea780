package connection

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"rendezvous/dht"
	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
)

// requestUserType marks connection requests among the values at a peer: key.
const requestUserType = "peer_request"

// request is a PeerConnectionRequest: a device asks for a connection, or
// answers. Both carry the same id.
type request struct {
	id       uint64
	ice      string
	answer   bool
	connType string // advisory: "videoCall", "audioCall", "sync", a MIME type, empty in answers
}

// requestIDs makes the ids of our requests: never the same, each smaller than
// those before, and smaller than nearly all that daemons choose at random. A
// daemon that has several connections with a device, one of them cut without its
// having noticed, uses the one with the smallest id: that is to be the newest.
type requestIDs struct {
	now  func() time.Time
	last atomic.Uint64
}

func (r *requestIDs) next() uint64 {
	for {
		// Seconds are counted down, to the year 2106; chance keeps ids apart if
		// the clock is set back.
		id := uint64(math.MaxUint32-uint32(r.now().Unix()))<<10 | rand.Uint64N(1<<10)
		last := r.last.Load()
		if last != 0 && id >= last {
			id = last - 1
		}
		if r.last.CompareAndSwap(last, id) {
			return id
		}
	}
}

var errRequest = errors.New("connection: malformed request")

// pack writes the fields in the order all Jami versions do.
func (r request) pack() []byte {
	b := msgpack.AppendMap(nil, 4)
	b = msgpack.AppendUint(msgpack.AppendString(b, "id"), r.id)
	b = msgpack.AppendString(msgpack.AppendString(b, "ice_msg"), r.ice)
	b = msgpack.AppendBool(msgpack.AppendString(b, "isAnswer"), r.answer)
	return msgpack.AppendString(msgpack.AppendString(b, "connType"), r.connType)
}

func parseRequest(data []byte) (request, error) {
	var q request
	var seen int
	r := msgpack.NewReader(data)
	for n := r.Map(); n > 0 && r.Err() == nil; n-- {
		switch r.Key() {
		case "id":
			q.id = r.Uint()
			seen |= 1
		case "ice_msg":
			q.ice = r.Str()
			seen |= 2
		case "isAnswer":
			q.answer = r.Bool()
			seen |= 4
		case "connType":
			q.connType = r.Str()
		default:
			r.Skip()
		}
	}
	if err := r.Err(); err != nil {
		return request{}, fmt.Errorf("%w: %w", errRequest, err)
	}
	if seen != 7 || q.id == 0 || len(q.connType) > 256 {
		return request{}, errRequest
	}
	return q, nil
}

// generation tells the two places where a device listens for requests apart.
type generation int

const (
	legacy  generation = iota // daemons of 2023: by the short device id
	current                   // since 2026: by the long one
)

// peerKey is where a device listens.
func (g generation) peerKey(short value.Key, long value.LongID) dht.Key {
	if g == current {
		return dht.KeyOfText("peer:" + long.String())
	}
	return dht.KeyOfText("peer:" + short.String())
}
