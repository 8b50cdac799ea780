package account

import (
	"path/filepath"

	"rendezvous/dht/value"
	"rendezvous/signalling/jami/connection"
)

// KeepRequest is what a request leads to that a moderator decides about.
func (a *Account) KeepRequest(r TrustRequest) { a.keepRequest(r) }

// TakeTrust takes a contact request, as it comes from the network.
func (a *Account) TakeTrust(from connection.Peer, conversation string, card []byte) {
	a.onTrust(from, trustMessage{conversation: conversation, payload: card})
}

// Asking counts the accounts that are watched for to be asked.
func (a *Account) Asking() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.asking)
}

// Pending reports whether somebody was asked and may still agree.
func (c Contact) Pending() bool { return c.pending() }

// Revoked reads the revoked devices that an account keeps in its folder, as after a restart.
func Revoked(dir string) (has func(value.LongID) bool, err error) {
	r, err := openRevocations(filepath.Join(dir, "revoked"))
	if err != nil {
		return nil, err
	}
	return r.has, nil
}
