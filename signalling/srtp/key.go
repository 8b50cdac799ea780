package srtp

import (
	"encoding/binary"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v2"

	"rendezvous/signalling/sdes"
)

// Bounds of the state that a context keeps of each source (SSRC), which pion makes before a packet has verified and
// never forgets.
const (
	maxStrange = 64   // packets of unknown sources that do not verify; anybody can send them
	maxSources = 1024 // sources that have verified; a peer may be hostile
)

// key is a key of a peer's with the state of its sources.
//
// RFC 3711 has a rollover counter for each source. Jami's daemons, as everybody who uses FFmpeg's SRTP, keep one for
// the whole medium, whatever the source; so a new source is tried with the counters that may be meant.
type key struct {
	crypto  sdes.Crypto
	context *srtp.Context // of sources that have verified
	sources int           // how many
	newest  uint32        // the source of RTP that came last
	known   bool          // there is one

	trial   *srtp.Context // of all others; nil: none yet
	strange int           // packets that it has seen
}

func newKey(crypto sdes.Crypto) (*key, error) {
	c, err := newContext(crypto)
	if err != nil {
		return nil, err
	}
	return &key{crypto: crypto, context: c}, nil
}

// rtp decrypts a packet into dst; h is scratch.
func (k *key) rtp(dst, packet []byte, h *rtp.Header) ([]byte, error) {
	if len(packet) < 12 {
		return nil, ErrNotAuthentic
	}
	ssrc := binary.BigEndian.Uint32(packet[8:])
	_, known := k.context.ROC(ssrc)
	if known {
		out, err := k.context.DecryptRTP(dst, packet, h)
		if err == nil || ssrc == k.newest {
			return out, err
		}
	}
	// Another source: its counter may go on from the last one's, be one further, or begin anew. It is tried on the side:
	// strangers' packets must leave nothing behind, and one that was there before is refused by what is remembered.
	trial, err := k.stranger()
	if err != nil {
		return nil, err
	}
	last, _ := k.context.ROC(k.newest) // 0 if there is no source yet
	for i, roc := range [...]uint32{last, last + 1, 0} {
		if i == 2 && last == 0 {
			break
		}
		trial.SetROC(ssrc, roc)
		if _, err := trial.DecryptRTP(dst, packet, h); err != nil {
			continue
		}
		if !known {
			if err := k.admit(); err != nil {
				return nil, err
			}
		}
		if had, ok := k.context.ROC(ssrc); !ok || had < roc {
			k.context.SetROC(ssrc, roc)
		}
		out, err := k.context.DecryptRTP(dst, packet, h)
		if err == nil {
			k.newest, k.known = ssrc, true
		}
		return out, err
	}
	return nil, ErrNotAuthentic
}

// rtcp decrypts a compound packet. Each carries its counter.
func (k *key) rtcp(packet []byte) ([]byte, error) {
	if len(packet) < 8 {
		return nil, ErrNotAuthentic
	}
	if _, known := k.context.Index(binary.BigEndian.Uint32(packet[4:])); !known {
		trial, err := k.stranger()
		if err != nil {
			return nil, err
		}
		if _, err := trial.DecryptRTCP(nil, packet, nil); err != nil {
			return nil, err
		}
		if err := k.admit(); err != nil {
			return nil, err
		}
	}
	return k.context.DecryptRTCP(nil, packet, nil)
}

// stranger is the context on which a packet of an unknown source is tried.
func (k *key) stranger() (*srtp.Context, error) {
	if k.strange++; k.trial == nil || k.strange > maxStrange {
		c, err := newContext(k.crypto)
		if err != nil {
			return nil, err
		}
		k.trial, k.strange = c, 1
	}
	return k.trial, nil
}

// admit makes room for a source that has verified. Beyond maxSources all are forgotten but the counter of the newest.
func (k *key) admit() error {
	if k.sources++; k.sources <= maxSources {
		return nil
	}
	c, err := newContext(k.crypto)
	if err != nil {
		return err
	}
	k.sources = 1
	if k.known {
		last, _ := k.context.ROC(k.newest)
		c.SetROC(k.newest, last)
		k.sources++
	}
	k.context = c
	return nil
}
