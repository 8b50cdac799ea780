package srtp

import (
	"errors"
	"fmt"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v2"

	"rendezvous/signalling/sdes"
)

// maxPacket is what buffers are made for, in bytes: no packet that is sent is larger, its tag included.
const maxPacket = 2048

var errNoKey = errors.New("SRTP: no key to encrypt with")

// Sender encrypts what is sent of one medium. It is for one goroutine at a time.
type Sender struct {
	key     sdes.Crypto
	context *srtp.Context
	header  rtp.Header // scratch
	buf     []byte     // of the packet that was encrypted last
}

// SetKey sets what is encrypted with from now on. A key in use goes on with its counters, as they must never begin
// anew under one key (RFC 3711 §9.1). The zero Crypto takes the key away. It fails for a key that its suite cannot use;
// nothing has changed then.
func (s *Sender) SetKey(key sdes.Crypto) error {
	if key.Same(s.key) {
		return nil
	}
	if !key.Present() {
		s.key, s.context = key, nil
		return nil
	}
	c, err := newContext(key)
	if err != nil {
		return err
	}
	if s.buf == nil {
		s.buf = make([]byte, 0, maxPacket)
	}
	s.key, s.context = key, c
	return nil
}

// Secure reports whether there is a key.
func (s *Sender) Secure() bool { return s.context != nil }

// RTP encrypts a packet. What it returns is good until the next one. It fails without a key, and for what is no RTP.
func (s *Sender) RTP(packet []byte) ([]byte, error) {
	if s.context == nil {
		return nil, errNoKey
	}
	out, err := s.context.EncryptRTP(s.buf[:0], packet, &s.header)
	if err != nil {
		return nil, fmt.Errorf("encrypt RTP: %w", err)
	}
	s.buf = out
	return out, nil
}

// RTCP encrypts a compound packet of reports. It fails without a key, and for what is no RTCP.
func (s *Sender) RTCP(packet []byte) ([]byte, error) {
	if s.context == nil {
		return nil, errNoKey
	}
	out, err := s.context.EncryptRTCP(nil, packet, nil)
	if err != nil {
		return nil, fmt.Errorf("encrypt RTCP: %w", err)
	}
	return out, nil
}
