package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"rendezvous/dht"
	"rendezvous/dht/dhttest"
	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/internal/lab/opendht"
)

// Signed and encrypted values, made on either side and read on the other; tampered ones are nobody's.
func TestRealCrypto(t *testing.T) {
	t.Parallel()
	ctx := testContext(t, 120*time.Second)
	first := startDHTNode(t, ctx, opendht.Options{})
	real := startDHTNode(t, ctx, opendht.Options{Bootstrap: first.Addr(), Identity: true})
	ours := dhttest.Start(t, dht.Config{Bootstrap: []string{first.Addr()}})
	if err := ours.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	me := account().Device

	t.Run("signed here", func(t *testing.T) {
		v := &dht.Value{Data: []byte("signed-here"), UserType: "text/plain"}
		if err := ours.PutSigned(ctx, me, dht.KeyOfText("signed-here"), v); err != nil {
			t.Fatal(err)
		}
		if _, err := real.Ask(ctx, fmt.Sprintf(`id:%x signed \(v0\).*"signed-here"`, v.ID), "g signed-here"); err != nil {
			t.Error(err)
		}
	})
	t.Run("signed there", func(t *testing.T) {
		if _, err := real.Ask(ctx, `Put signed: success`, "s signed-there signed-there"); err != nil {
			t.Fatal(err)
		}
		v, err := getOne(ctx, ours, dht.KeyOfText("signed-there"))
		if err != nil {
			t.Fatal(err)
		}
		if !v.IsSigned() || v.Check() != nil || v.Owner.ID().String() != real.KeyID || string(v.Data) != "signed-there" {
			t.Errorf("value %+v is not signed by %s", v, real.KeyID)
		}
	})
	t.Run("tampered", func(t *testing.T) {
		good := &dht.Value{ID: 7, Data: []byte("untouched"), UserType: "text/plain"}
		if err := me.Sign(good); err != nil {
			t.Fatal(err)
		}
		bad := good.Clone()
		bad.ID, bad.Data = 8, []byte("tampered!")
		key := dht.KeyOfText("tampered")
		hostile := dhttest.Start(t, dht.Config{Bootstrap: []string{first.Addr()}})
		for _, v := range []*dht.Value{bad, good} {
			if err := hostile.Put(ctx, key, v); err != nil { // it keeps a copy itself, and serves it
				t.Fatal(err)
			}
		}
		mark := real.Mark()
		if _, err := real.Ask(ctx, `Get: completed`, "g tampered"); err != nil {
			t.Fatal(err)
		}
		if _, err := real.Expect(ctx, mark, `"untouched"`); err != nil {
			t.Error(err)
		}
		for _, line := range real.Lines(mark) {
			if strings.Contains(line, "tampered!") {
				t.Errorf("OpenDHT took a tampered value: %s", line)
			}
		}
		if v, err := getOne(ctx, ours, key); err != nil || string(v.Data) != "untouched" {
			t.Errorf("got %v, %v", v, err)
		}
		for v, err := range ours.Get(ctx, key) {
			if err != nil || string(v.Data) != "untouched" {
				t.Errorf("got %v, %v", v, err)
			}
		}
	})
	t.Run("encrypted here", func(t *testing.T) {
		id, err := value.ParseKey(real.KeyID)
		if err != nil {
			t.Fatal(err)
		}
		chain, err := ours.FindCertificate(ctx, identity.KeyIDs{Short: id})
		if err != nil {
			t.Fatal(err)
		}
		v := &dht.Value{Data: []byte("secret-here"), UserType: "text/plain"}
		if err := ours.PutEncrypted(ctx, me, chain[0].PublicKey, dht.KeyOfText("secret-here"), v); err != nil {
			t.Fatal(err)
		}
		if _, err := real.Ask(ctx, fmt.Sprintf(`id:%x signed \(v0\) decrypted .*"secret-here"`, v.ID), "g secret-here"); err != nil {
			t.Error(err)
		}
	})
	t.Run("encrypted there", func(t *testing.T) {
		p, err := ours.PublishCertificate(ctx, me.Chain)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Cancel()
		if err := p.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := real.Ask(ctx, `Put encrypted: success`, "e secret-there %s secret-there", me.ID()); err != nil {
			t.Fatal(err)
		}
		v, err := getOne(ctx, ours, dht.KeyOfText("secret-there"), dht.DecryptWith(me))
		if err != nil {
			t.Fatal(err)
		}
		if string(v.Data) != "secret-there" || v.To != me.ID() || v.Owner.ID().String() != real.KeyID {
			t.Errorf("decrypted %+v", v)
		}
		other := &identity.Identity{Key: account().CA.Key}
		for v := range ours.Get(ctx, dht.KeyOfText("secret-there"), dht.DecryptWith(other)) {
			t.Errorf("somebody else read %v", v)
		}
	})
}

// An account is published and found: its device, by announcement and certificate, from its id alone.
func TestRealAccount(t *testing.T) {
	t.Parallel()
	ctx := testContext(t, 60*time.Second)
	real := startNetwork(t, ctx, 3)
	host := dhttest.Start(t, dht.Config{Bootstrap: []string{real[0].Addr()}})
	a := account()
	p, err := host.PublishAccount(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	caller := dhttest.Start(t, dht.Config{Bootstrap: []string{real[2].Addr()}})
	if err := caller.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	// Old nodes refuse the certificate at its new place; at the old one it must come from them alone.
	host.Close()
	var found []identity.Chain
	for chain, err := range caller.FindDevices(ctx, a.ID()) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, chain)
	}
	if len(found) != 1 || !found[0].Equal(a.Device.Chain) {
		t.Errorf("found %d devices", len(found))
	}
	if _, err := caller.FindCertificate(ctx, identity.KeyIDs{Short: value.RandomKey()}); !errors.Is(err, dht.ErrNotFound) {
		t.Errorf("the certificate of nobody: %v", err)
	}
}
