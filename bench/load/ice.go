package main

import (
	"crypto/rand"
	"fmt"
	"net/netip"

	"github.com/pion/ice/v2"
	"github.com/pion/stun"
)

// credentials are those of both sides (RFC 8445 section 5.3).
type credentials struct{ ufrag, pwd, remoteUfrag, remotePwd string }

// newCredentials are the caller's.
func newCredentials() credentials { return credentials{ufrag: rand.Text()[:8], pwd: rand.Text()} }

// check is a connectivity check of the controlling side that also nominates (RFC 8445 section 7.1); later ones are
// consent (RFC 7675 section 5.1).
func (c credentials) check() ([]byte, error) {
	m, err := stun.Build(stun.TransactionID, stun.BindingRequest,
		stun.NewUsername(c.remoteUfrag+":"+c.ufrag),
		ice.UseCandidate(), ice.AttrControlling(1), ice.PriorityAttr(1845501695),
		stun.NewShortTermIntegrity(c.remotePwd), stun.Fingerprint)
	if err != nil {
		return nil, fmt.Errorf("make a check: %w", err)
	}
	return m.Raw, nil
}

// take answers the host's checks and reports whether a message is the answer to one of ours.
func (c credentials) take(b []byte, from netip.AddrPort) (reply []byte, answered bool, err error) {
	m := &stun.Message{Raw: append([]byte(nil), b...)}
	if err := m.Decode(); err != nil {
		return nil, false, fmt.Errorf("STUN: %w", err)
	}
	switch m.Type {
	case stun.BindingSuccess:
		if err := stun.NewShortTermIntegrity(c.remotePwd).Check(m); err != nil {
			return nil, false, fmt.Errorf("STUN: %w", err)
		}
		return nil, true, nil
	case stun.BindingRequest:
		if err := stun.NewShortTermIntegrity(c.pwd).Check(m); err != nil {
			return nil, false, fmt.Errorf("STUN: %w", err)
		}
		r, err := stun.Build(stun.NewTransactionIDSetter(m.TransactionID), stun.BindingSuccess,
			&stun.XORMappedAddress{IP: from.Addr().AsSlice(), Port: int(from.Port())},
			stun.NewShortTermIntegrity(c.pwd), stun.Fingerprint)
		if err != nil {
			return nil, false, fmt.Errorf("answer a check: %w", err)
		}
		return r.Raw, false, nil
	}
	return nil, false, nil
}
