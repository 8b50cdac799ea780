package srtp

import (
	"errors"
	"fmt"

	"github.com/pion/srtp/v2"

	"rendezvous/signalling/sdes"
)

// profiles are the suites in pion's words.
var profiles = map[sdes.Suite]srtp.ProtectionProfile{
	sdes.AES128CM80: srtp.ProtectionProfileAes128CmHmacSha1_80,
	sdes.AES128CM32: srtp.ProtectionProfileAes128CmHmacSha1_32,
	sdes.AES128GCM:  srtp.ProtectionProfileAeadAes128Gcm,
	sdes.AES256GCM:  srtp.ProtectionProfileAeadAes256Gcm,
}

var errKey = errors.New("SRTP: not a key of a known suite")

// replayWindow is how many packets may be overtaken, for retransmissions and reordering; what is older, or was
// there before, is refused.
const replayWindow = 1024

// newContext makes the state of one key for one direction.
func newContext(key sdes.Crypto) (*srtp.Context, error) {
	profile, ok := profiles[key.Suite]
	if !ok {
		return nil, errKey
	}
	master, salt := key.Master()
	keyLen, err := profile.KeyLen()
	if err != nil {
		return nil, fmt.Errorf("SRTP context: %w", err)
	}
	saltLen, err := profile.SaltLen()
	if err != nil {
		return nil, fmt.Errorf("SRTP context: %w", err)
	}
	if len(master) != keyLen || len(salt) != saltLen { // pion's error would quote the key
		return nil, errKey
	}
	c, err := srtp.CreateContext(master, salt, profile, srtp.SRTPReplayProtection(replayWindow), srtp.SRTCPReplayProtection(replayWindow))
	if err != nil {
		return nil, fmt.Errorf("SRTP context: %w", err)
	}
	return c, nil
}
