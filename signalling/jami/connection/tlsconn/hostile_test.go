package tlsconn

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"rendezvous/dht/identity"
)

// goTLS is a peer with the same TLS as ours, that can be wrong in many ways. It returns what came of the handshake there.
func goTLS(client bool, cfg *tls.Config) func(net.Conn) error {
	cfg.InsecureSkipVerify = true
	return func(wire net.Conn) error {
		c := tls.Client(wire, cfg)
		if !client {
			c = tls.Server(wire, cfg)
		}
		if err := c.Handshake(); err != nil {
			return err
		}
		_, err := c.Read(make([]byte, 1)) // a client that is refused hears of it late
		return err
	}
}

// says is a peer that writes something and hangs up when it has an answer or that is clear.
func says(b []byte) func(net.Conn) error {
	return func(wire net.Conn) error {
		if _, err := wire.Write(b); err != nil {
			return err
		}
		return wire.(*net.TCPConn).CloseWrite()
	}
}

// record makes one of a kind.
func record(kind byte, content []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{kind, 3, 3}, uint16(len(content)))
	return append(b, content...)
}

// cutter hangs up after so many bytes of what is written to it.
type cutter struct {
	net.Conn
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	if c.left < len(p) {
		c.Conn.Write(p[:c.left])
		c.Conn.Close()
		return 0, net.ErrClosed
	}
	c.left -= len(p)
	return c.Conn.Write(p)
}

func TestPeersThatAreRefused(t *testing.T) {
	us, them := devices()
	ca := accounts()[1].CA.Chain[0].Raw
	certificate := func(id *identity.Identity, more ...[]byte) []tls.Certificate {
		return []tls.Certificate{{Certificate: append(id.Chain.Raw(), more...), PrivateKey: id.Key}}
	}
	config := func(c []tls.Certificate) *tls.Config { return &tls.Config{Certificates: c} }
	huge := bytes.Repeat(record(22, append([]byte{1, 0xff, 0xff, 0xff}, make([]byte, 16000)...)[:16000]), 5)

	type row struct {
		peer func(client bool) func(net.Conn) error
		// What is wrong with the chain, or with what the peer hears.
		refused, hears string
	}
	raw := func(b []byte) func(bool) func(net.Conn) error {
		return func(bool) func(net.Conn) error { return says(b) }
	}
	with := func(cfg *tls.Config) func(bool) func(net.Conn) error {
		return func(client bool) func(net.Conn) error { return goTLS(client, cfg.Clone()) }
	}
	both := map[string]row{
		"nothing":             {raw(nil), "", ""},
		"half a header":       {raw([]byte{22, 3}), "", ""},
		"half a record":       {raw(record(22, make([]byte, 100))[:50]), "", ""},
		"another protocol":    {raw([]byte("GET / HTTP/1.0\r\n\r\n")), "", ""},
		"an empty record":     {raw(record(22, nil)), "", ""},
		"a long record":       {raw([]byte{22, 3, 3, 0xff, 0xff}), "", ""},
		"data at once":        {raw(record(23, make([]byte, 100))), "", ""},
		"an alert at once":    {raw(record(21, []byte{2, 40})), "", ""},
		"a goodbye at once":   {raw(record(21, []byte{1, 0})), "", ""},
		"nonsense":            {raw(record(22, append([]byte{0xa5, 0, 0, 96}, make([]byte, 96)...))), "", ""},
		"a message of 16 MB":  {raw(huge), "", ""},
		"TLS 1.2":             {with(&tls.Config{Certificates: certificate(them), MaxVersion: tls.VersionTLS12}), "", "version"}, // would begin with jamid's anonymous handshake
		"another device":      {with(config(certificate(accounts()[0].Device))), "not device", "bad certificate"},
		"too long a chain":    {with(config(certificate(them, slices.Repeat([][]byte{ca}, 9)...))), "chain of 12", "bad certificate"},
		"a huge chain":        {with(config(certificate(them, slices.Repeat([][]byte{ca}, 400)...))), "", ""},
		"no chain":            {with(config([]tls.Certificate{{Certificate: them.Chain.Raw()[:1], PrivateKey: them.Key}})), "without its issuer", "bad certificate"},
		"not a certificate":   {with(config([]tls.Certificate{{Certificate: [][]byte{them.Chain[0].Raw, []byte("no DER")}, PrivateKey: them.Key}})), "", "error decoding"},
		"another one's chain": {with(config([]tls.Certificate{{Certificate: them.Chain.Raw(), PrivateKey: us.Key}})), "", "error decrypting"},
		"only P-256":          {with(&tls.Config{Certificates: certificate(them), CurvePreferences: []tls.CurveID{tls.CurveP256}}), "", ""},
	}
	// A flight of either side has some 3000 bytes.
	for _, n := range []int{1, 4, 100, 200, 1000, 2500} {
		both[fmt.Sprintf("hangs up after %d bytes", n)] = row{func(client bool) func(net.Conn) error {
			return func(wire net.Conn) error {
				return goTLS(client, config(certificate(them)))(&cutter{wire, n})
			}
		}, "", ""}
	}
	try := func(t *testing.T, client bool, r row) {
		ours, theirs := wires(t)
		heard := make(chan error, 1)
		go func() {
			theirs.SetDeadline(time.Now().Add(patience))
			heard <- r.peer(!client)(theirs)
		}()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c, chain, err := Handshake(ctx, ours, Config{Client: client, Own: us, Peer: ids(them)})
		ours.Close()
		h := <-heard
		if err == nil || c != nil || chain != nil {
			t.Fatal("accepted")
		}
		if errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("took too long: %v", err)
		}
		if errors.Is(err, ErrPeer) != (r.refused != "") || !strings.Contains(err.Error(), r.refused) {
			t.Errorf("%v instead of %q", err, r.refused)
		}
		if r.hears != "" && (h == nil || !strings.Contains(h.Error(), r.hears)) {
			t.Errorf("the peer hears %v instead of %q", h, r.hears)
		}
	}
	for name, r := range both {
		t.Run("client "+name, func(t *testing.T) { try(t, false, r) })
		t.Run("server "+name, func(t *testing.T) { try(t, true, r) })
	}
	t.Run("client without a certificate", func(t *testing.T) {
		try(t, false, row{with(&tls.Config{}), "", "certificate required"})
	})
}

// A peer that says nothing, or nothing more, is given up when the caller does.
func TestHandshakeEndsWithItsContext(t *testing.T) {
	us, them := devices()
	for name, said := range map[string][]byte{"nothing": nil, "half a record": record(22, make([]byte, 100))[:50]} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := wires(t)
			theirs.Write(said)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				io.ReadFull(theirs, make([]byte, 5)) // the ClientHello
				cancel()
			}()
			if _, _, err := Handshake(ctx, ours, Config{Client: true, Own: us, Peer: ids(them)}); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
}
