package srtp

import (
	"errors"
	"slices"

	"github.com/pion/rtp"

	"rendezvous/signalling/sdes"
)

// ErrNotAuthentic is what becomes of packets that no key verifies, and of those that were there before.
var ErrNotAuthentic = errors.New("SRTP packet does not verify")

// maxKeys is how many keys of one peer are tried: the one in use and those of the newest descriptions.
const maxKeys = 3

// Receiver decrypts what one peer sends of one medium. It is for one goroutine at a time.
//
// A new key does not end an old one, as packets with that are on their way, and Jami's daemons go on with it after
// a renegotiation without new ICE. The first RTP packet with the newer key does: the peer has gone over.
type Receiver struct {
	keys   []*key     // as they were agreed, the newest last
	header rtp.Header // scratch
}

// Add takes the key of a new description beside those that there are. One that is known keeps its counters, so that
// what was there before is refused still.
func (r *Receiver) Add(crypto sdes.Crypto) error {
	if i := r.index(crypto); i >= 0 {
		k := r.keys[i]
		r.keys = append(slices.Delete(r.keys, i, i+1), k)
		return nil
	}
	k, err := newKey(crypto)
	if err != nil {
		return err
	}
	if len(r.keys) == maxKeys { // what the peer uses stays
		oldest := 0
		if r.keys[0].known {
			oldest = 1
		}
		r.keys = slices.Delete(r.keys, oldest, oldest+1)
	}
	r.keys = append(r.keys, k)
	return nil
}

// Replace takes a key in the place of all that there are; one that is among them keeps its counters. The zero Crypto
// leaves none. It fails for a key that its suite
// cannot use; nothing has changed then.
func (r *Receiver) Replace(crypto sdes.Crypto) error {
	if !crypto.Present() {
		r.keys = nil
		return nil
	}
	if err := r.Add(crypto); err != nil {
		return err
	}
	r.keys = slices.Delete(r.keys, 0, len(r.keys)-1)
	return nil
}

// index is the place of a key among those that there are, -1 if it is not there.
func (r *Receiver) index(crypto sdes.Crypto) int {
	return slices.IndexFunc(r.keys, func(k *key) bool { return k.crypto.Same(crypto) })
}

// Secure reports whether there is a key.
func (r *Receiver) Secure() bool { return len(r.keys) > 0 }

// RTP decrypts a packet into dst[:0], which does not overlap with it. The error is ErrNotAuthentic: no key fits, or the packet
// was there before.
func (r *Receiver) RTP(dst, packet []byte) ([]byte, error) {
	for n := range r.keys {
		i := r.turn(n)
		out, err := r.keys[i].rtp(dst[:0], packet, &r.header)
		if err == nil {
			if i > 0 {
				r.keys = slices.Delete(r.keys, 0, i)
			}
			return out, nil
		}
	}
	return nil, ErrNotAuthentic
}

// RTCP decrypts a compound packet of reports. It ends no older key: reports overtake, and are overtaken by, RTP.
// The error is ErrNotAuthentic.
func (r *Receiver) RTCP(packet []byte) ([]byte, error) {
	for n := range r.keys {
		if out, err := r.keys[r.turn(n)].rtcp(packet); err == nil {
			return out, nil
		}
	}
	return nil, ErrNotAuthentic
}

// turn is the place of the key that is tried n-th: the one in use, which is the oldest, then the newest first.
func (r *Receiver) turn(n int) int {
	if r.keys[0].known {
		return (len(r.keys) - n) % len(r.keys)
	}
	return len(r.keys) - 1 - n
}
