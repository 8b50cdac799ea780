// Package tlsconn authenticates the connection of two Jami devices: TLS 1.3
// where both sides present their whole chain (device, account, CA), and each
// accepts the other if the first certificate's key is the device it means and
// the chain verifies. Whose device it is follows from the chain, not from
// what a peer says.
package tlsconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"rendezvous/dht/identity"
)

// handshakeTimeout is how long Jami gives the handshake.
const handshakeTimeout = 40 * time.Second

// ErrPeer is wrapped by the error of a handshake with a device that is another
// than the one meant, or whose chain does not verify.
var ErrPeer = errors.New("tlsconn: peer refused")

// Config says who we are and whom we expect at the other end of a handshake.
type Config struct {
	// Client is our role; in Jami it is that of the ICE controlling side.
	Client bool
	// Own is our device key with exactly the chain that is on the DHT: peers
	// compare the bytes.
	Own *identity.Identity
	// Peer is the device that we mean to talk to.
	Peer identity.KeyIDs
	// Now is the clock that certificates are judged by; nil is time.Now.
	Now func() time.Time
}

// Handshake runs TLS over conn and returns the encrypted connection and the
// peer's verified chain. It leaves conn open if it fails.
func Handshake(ctx context.Context, conn net.Conn, cfg Config) (*tls.Conn, identity.Chain, error) {
	now := cfg.Now
	if now == nil {
		now = time.Now
	}
	var chain identity.Chain
	tc := &tls.Config{
		// Over 1.2 jamid runs an anonymous handshake first; 1.3 spares it.
		MinVersion:   tls.VersionTLS13,
		MaxVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{cfg.Own.TLSCertificate()},
		// jamid's groups that Go has; no bulky post-quantum share.
		CurvePreferences: []tls.CurveID{tls.CurveP384, tls.X25519},
		// Nobody pins a CA: VerifyPeerCertificate has Jami's own rules.
		InsecureSkipVerify:     true,
		ClientAuth:             tls.RequireAnyClientCert,
		SessionTicketsDisabled: true,
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			c, err := verify(raw, cfg.Peer, now())
			chain = c
			return err
		},
	}
	var t *tls.Conn
	if cfg.Client {
		t = tls.Client(conn, tc)
	} else {
		t = tls.Server(conn, tc)
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, nil, fmt.Errorf("tlsconn: handshake: %w", err)
	}
	return t, chain, nil
}

// verify applies the rules of Jami peers to a presented chain: the leaf is the device
// meant, and the chain verifies. If not, the error wraps ErrPeer.
func verify(raw [][]byte, peer identity.KeyIDs, now time.Time) (identity.Chain, error) {
	chain, err := identity.ParseRawChain(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPeer, err)
	}
	if leaf := chain.Leaf(); leaf == nil || !peer.Match(leaf) {
		return nil, fmt.Errorf("%w: not device %s", ErrPeer, peer)
	}
	if err := chain.Verify(now); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPeer, err)
	}
	return chain, nil
}
