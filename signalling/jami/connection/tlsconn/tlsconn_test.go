package tlsconn

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"rendezvous/dht/identity"
)

// A chain of a real daemon, whose three certificates all have a negative
// serial number, verifies.
func TestVerifyRealChain(t *testing.T) {
	text, err := os.ReadFile("testdata/jamid-chain.pem")
	if err != nil {
		t.Fatal(err)
	}
	chain, err := identity.ParseChain(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chain {
		if c.Serial.Sign() >= 0 {
			t.Errorf("serial %v: the test needs negative ones", c.Serial)
		}
		// crypto/tls parses them as well, thanks to go.mod's godebug line.
		if _, err := c.X509(); err != nil {
			t.Error(err)
		}
	}
	device, err := identity.ParseKeyIDs("37489ac51936110d144c44486e66535ef543a2f6ed4ff436bdfbef0718a72064")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	got, err := verify(chain.Raw(), device, now)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := got.AccountID(); err != nil || id.String() != "d90dd9ede00643e566386143c00729550213b3ee" {
		t.Errorf("account %s, %v", id, err)
	}
	if _, err := verify(chain.Raw(), device, now.Add(20*365*24*time.Hour)); !errors.Is(err, ErrPeer) {
		t.Errorf("expired: %v", err)
	}
	if _, err := verify(chain[:1].Raw(), device, now); !errors.Is(err, ErrPeer) {
		t.Errorf("without issuers: %v", err)
	}
	if _, err := verify(nil, device, now); !errors.Is(err, ErrPeer) {
		t.Errorf("nothing: %v", err)
	}
}

// shake runs both ends of a handshake.
func shake(t *testing.T, client, server Config) (seen identity.Chain, cerr, serr error) {
	t.Helper()
	a, b := wires(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	client.Client = true
	var wg sync.WaitGroup
	wg.Go(func() {
		c, _, err := Handshake(ctx, a, client)
		if err == nil {
			// A refusal of our certificate only comes with the next read.
			_, err = c.Read(make([]byte, 1))
		}
		cerr = err
		a.Close()
	})
	wg.Go(func() {
		c, chain, err := Handshake(ctx, b, server)
		if err == nil {
			_, err = c.Write([]byte("x"))
		}
		serr, seen = err, chain
		b.Close()
	})
	wg.Wait()
	return seen, cerr, serr
}

func TestHandshake(t *testing.T) {
	a, b := devices()
	aID, bID := ids(a), ids(b)
	later := func() time.Time { return time.Now().Add(20 * 365 * 24 * time.Hour) }
	// a's key with a certificate that b's account did not issue
	forged := &identity.Identity{Key: a.Key, Chain: append(identity.Chain{a.Chain[0]}, b.Chain[1:]...)}

	for name, tc := range map[string]struct {
		client, server     Config
		clientOK, serverOK bool
	}{
		"both as meant":        {Config{Own: a, Peer: bID}, Config{Own: b, Peer: aID}, true, true},
		"by short id":          {Config{Own: a, Peer: identity.KeyIDs{Short: bID.Short}}, Config{Own: b, Peer: aID}, true, true},
		"server means another": {Config{Own: a, Peer: bID}, Config{Own: b, Peer: bID}, false, false},
		"client means another": {Config{Own: a, Peer: aID}, Config{Own: b, Peer: aID}, false, false},
		"not by its account":   {Config{Own: forged, Peer: bID}, Config{Own: b, Peer: aID}, false, false},
		"expired":              {Config{Own: a, Peer: bID}, Config{Own: b, Peer: aID, Now: later}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			seen, cerr, serr := shake(t, tc.client, tc.server)
			if (cerr == nil) != tc.clientOK || (serr == nil) != tc.serverOK {
				t.Fatalf("client %v, server %v", cerr, serr)
			}
			if tc.serverOK && !seen.Equal(a.Chain) {
				t.Error("server sees another chain")
			}
			if !tc.serverOK && !errors.Is(cerr, ErrPeer) && !errors.Is(serr, ErrPeer) {
				t.Errorf("client %v, server %v", cerr, serr)
			}
		})
	}
}
