package repo

import (
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/dht/identity"
	"rendezvous/swarm/pack"
)

// folders is a store in which a root has one folder, however it is named.
type folders struct{ root, folder []byte }

func (f folders) get(id plumbing.Hash) (pack.Object, error) {
	if id.IsZero() {
		return pack.Object{Type: plumbing.TreeObject, Data: f.root}, nil
	}
	return pack.Object{Type: plumbing.TreeObject, Data: f.folder}, nil
}

// A tree that is taken can be written, and is the same when it is read again.
func FuzzTree(f *testing.F) {
	id := strings.Repeat("12", 20)
	blob := strings.Repeat("b", 20)
	f.Add([]byte("40000 admins\x00"+blob+"40000 members\x00"+blob+"100644 profile.vcf\x00"+blob), []byte("100644 "+id+".crt\x00"+blob))
	f.Add([]byte("40000 invited\x00"+blob), []byte("100644 "+id+"\x00"+blob))
	f.Add([]byte("120000 profile.vcf\x00"+blob), []byte{})
	f.Fuzz(func(t *testing.T, root, folder []byte) {
		tree, err := readTree(folders{root, folder}, plumbing.ZeroHash)
		if err != nil {
			return
		}
		objects := map[plumbing.Hash]pack.Object{}
		written, err := writeTree(tree, func(o pack.Object) (plumbing.Hash, error) {
			objects[o.ID()] = o
			return o.ID(), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		again, err := readTree(overlay{extra: objects}, written)
		if err != nil || !maps.Equal(again, tree) {
			t.Fatalf("%v became %v, %v", tree, again, err)
		}
	})
}

func FuzzProfile(f *testing.F) {
	f.Add(Profile{Title: "Weekly: meeting", Description: "a\nb", Avatar: []byte{1, 2, 3}, HostAccount: "x", HostDevice: "y"}.vcard())
	f.Add([]byte("PHOTO;X:AA==\r\nFN\nFN:a\r\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p := parseProfile(parseProfile(text).vcard())
		if again := parseProfile(p.vcard()); !reflect.DeepEqual(again, p) {
			t.Fatalf("%+v became %+v", p, again)
		}
	})
}

// The seeds are the certificates in a group of daemons.
func FuzzIssuer(f *testing.F) {
	for _, o := range captured(f, "group") {
		if chain, err := identity.ParseChain(o.Data); err == nil {
			f.Add(chain[0].Raw)
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		if c, err := identity.ParseCertificate(der); err == nil && len(issuerUID(c)) > len(der) {
			t.Fatal("more than the certificate holds")
		}
	})
}
