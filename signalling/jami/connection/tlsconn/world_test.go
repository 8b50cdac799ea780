package tlsconn

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rendezvous/dht/identity"
	"rendezvous/dht/identity/identitytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is a deadline for what takes milliseconds.
const patience = 30 * time.Second

var accounts = identitytest.Accounts(2)

// devices returns a device of each of two accounts.
func devices() (a, b *identity.Identity) { return accounts()[0].Device, accounts()[1].Device }

func ids(d *identity.Identity) identity.KeyIDs { return identity.IDsOf(d.PublicKey()) }

// wires returns both ends of a connection without TLS.
func wires(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// files writes key and chain where programs can read them.
func files(t *testing.T, id *identity.Identity) (key, chain string) {
	t.Helper()
	dir := t.TempDir()
	key, chain = filepath.Join(dir, "key.pem"), filepath.Join(dir, "chain.pem")
	pem, err := id.MarshalKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(chain, id.Chain.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return key, chain
}
