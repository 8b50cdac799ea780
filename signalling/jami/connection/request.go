package connection

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"rendezvous/dht"
	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
)

// requestUserType marks connection requests among the values at a peer: key.
const requestUserType = "peer_request"

// maxRequestID is the largest id in use: what a double holds exactly.
const maxRequestID = 1 << 53

// request is a PeerConnectionRequest: a device asks for a connection, or
// answers. Both carry the same id.
type request struct {
	id       uint64
	ice      string
	answer   bool
	connType string // advisory: "videoCall", "audioCall", "sync", a MIME type, empty in answers
}

func newRequestID() uint64 { return 1 + rand.Uint64N(maxRequestID) }

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
