package rtppipe

import (
	"errors"
	"fmt"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v2"

	"rendezvous/signalling/sdes"
)

// replayWindow is how many packets may be overtaken, for retransmissions and reordering.
const replayWindow = 1024

var profiles = map[sdes.Suite]srtp.ProtectionProfile{
	sdes.AES128CM80: srtp.ProtectionProfileAes128CmHmacSha1_80,
	sdes.AES128CM32: srtp.ProtectionProfileAes128CmHmacSha1_32,
	sdes.AES128GCM:  srtp.ProtectionProfileAeadAes128Gcm,
	sdes.AES256GCM:  srtp.ProtectionProfileAeadAes256Gcm,
}

// cipher is one direction's SRTP state. RTP and RTCP have a context each since
// they are used from different goroutines; the keys they derive differ anyway.
type cipher struct {
	key    sdes.Crypto
	rtp    *srtp.Context
	rtcp   *srtp.Context
	header rtp.Header // scratch of the goroutine that uses rtp
}

func newCipher(key sdes.Crypto) (*cipher, error) {
	profile, ok := profiles[key.Suite]
	if !ok {
		return nil, fmt.Errorf("SRTP suite %q is unknown", key.Suite)
	}
	c := &cipher{key: key}
	master, salt := key.Master()
	for _, ctx := range []**srtp.Context{&c.rtp, &c.rtcp} {
		made, err := srtp.CreateContext(master, salt, profile,
			srtp.SRTPReplayProtection(replayWindow), srtp.SRTCPReplayProtection(replayWindow))
		if err != nil {
			return nil, fmt.Errorf("make SRTP context: %w", err)
		}
		*ctx = made
	}
	return c, nil
}

// same reports whether c already uses the key, so that its counters must be kept.
func (c *cipher) same(key sdes.Crypto) bool {
	return c != nil && c.key.Same(key)
}

// errPlain means that a packet came without the encryption that was agreed.
var errPlain = errors.New("packet is not authentic")
