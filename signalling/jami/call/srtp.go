package call

import (
	"errors"
	"fmt"
	"sync"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v2"

	"rendezvous/signalling/sdes"
)

// suite is the one that jamid writes (spec/calls.md §3.1).
const suite = sdes.AES128CM80

// newMaster makes a key for one medium and direction.
func newMaster() sdes.Crypto { return sdes.New(1, suite) }

// replayWindow is how many packets may be overtaken; what is older, or was there before, is refused.
const replayWindow = 1024

func newContext(master sdes.Crypto) (*srtp.Context, error) {
	secret, salt := master.Master()
	c, err := srtp.CreateContext(secret, salt, srtp.ProtectionProfileAes128CmHmacSha1_80,
		srtp.SRTPReplayProtection(replayWindow))
	if err != nil {
		return nil, fmt.Errorf("SRTP keys: %w", err)
	}
	return c, nil
}

// decryptor opens a peer's packets. jamid keeps one rollover counter for the whole
// medium, whatever the SSRC, and after a renegotiation without new ICE goes on with
// its old key (spec/calls.md §5.3); so a packet that does not verify is tried with
// the counters and keys that may be meant.
type decryptor struct {
	mu       sync.Mutex // guards keys
	keys     []*key     // the one in use first
	failures uint64

	header rtp.Header // scratch; used by the reader only
}

type key struct {
	master  sdes.Crypto
	context *srtp.Context // of SSRCs that have verified
	ssrc    uint32        // the newest of them
	known   bool          // there is one
	trial   *srtp.Context // of all others; nil: none yet
	strange int           // SSRCs that trial has the state of
}

// maxStrange is how many SSRCs that do not verify a context may remember.
const maxStrange = 64

var errAuthentication = errors.New("SRTP packet does not verify")

const maxKeys = 3 // the one in use and those of the newest descriptions

// offer adds the key of a new description. replace forgets the older ones (new ICE).
func (d *decryptor) offer(master sdes.Crypto, replace bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.keys {
		if k.master.Same(master) {
			return nil
		}
	}
	c, err := newContext(master)
	if err != nil {
		return err
	}
	k := &key{master: master, context: c}
	if replace {
		d.keys = d.keys[:0]
	}
	if len(d.keys) >= maxKeys {
		d.keys = d.keys[:maxKeys-1]
	}
	if len(d.keys) == 0 {
		d.keys = append(d.keys, k)
	} else {
		d.keys = append(d.keys[:1:1], append([]*key{k}, d.keys[1:]...)...)
	}
	return nil
}

// open decrypts packet into dst[:0].
func (d *decryptor) open(dst, packet []byte) ([]byte, error) {
	if _, err := d.header.Unmarshal(packet); err != nil {
		return nil, fmt.Errorf("RTP header: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, k := range d.keys {
		out, err := k.open(dst, packet, &d.header)
		if err == nil {
			d.keys[0], d.keys[i] = d.keys[i], d.keys[0]
			return out, nil
		}
	}
	d.failures++
	return nil, errAuthentication
}

func (k *key) open(dst, packet []byte, h *rtp.Header) ([]byte, error) {
	if k.known && h.SSRC == k.ssrc {
		return k.context.DecryptRTP(dst, packet, h)
	}
	// Another SSRC: its counter may go on from the last one's, be one further, or begin anew. It is tried on the side:
	// strangers' packets must leave nothing behind, and one that was there before is refused by what is remembered.
	rollovers := []uint32{0}
	if k.known {
		if last, ok := k.context.ROC(k.ssrc); ok {
			rollovers = []uint32{last, last + 1, 0}
		}
	}
	if k.strange++; k.trial == nil || k.strange > maxStrange {
		c, err := newContext(k.master)
		if err != nil {
			return nil, err
		}
		k.trial, k.strange = c, 1
	}
	for _, roc := range rollovers {
		k.trial.SetROC(h.SSRC, roc)
		if _, err := k.trial.DecryptRTP(dst, packet, h); err != nil {
			continue
		}
		k.trial = nil // it holds this packet for seen
		if last, ok := k.context.ROC(h.SSRC); !ok || last < roc {
			k.context.SetROC(h.SSRC, roc)
		}
		out, err := k.context.DecryptRTP(dst, packet, h)
		if err == nil {
			k.ssrc, k.known = h.SSRC, true
		}
		return out, err
	}
	return nil, errAuthentication
}
