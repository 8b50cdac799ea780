package repo

import (
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/swarm/commit"
)

// ErrInvalid is wrapped by the reasons for which a history is refused.
var ErrInvalid = errors.New("invalid history")

func invalid(c *commit.Commit, err error) error {
	return fmt.Errorf("%w: commit %s: %w", ErrInvalid, c.ID, err)
}

// Bounds of what a checker remembers and reads.
const (
	maxTrees       = 64
	maxCerts       = 4096
	maxCertificate = 64 << 10
)

// checker applies the rules to commits, whose parents it has checked before.
type checker struct {
	id      plumbing.Hash // the conversation's, which is its initial commit's
	objects getter
	graph   graph

	mode   commit.Mode
	people []string // the two of a one-to-one conversation

	trees  map[plumbing.Hash]files
	certs  map[plumbing.Hash]*identity.Certificate
	issued map[[2]plumbing.Hash]error // whether the account's file vouches for the device's
}

func newChecker(id plumbing.Hash, objects getter) *checker {
	return &checker{id: id, objects: objects, graph: graph{}, trees: map[plumbing.Hash]files{},
		certs: map[plumbing.Hash]*identity.Certificate{}, issued: map[[2]plumbing.Hash]error{}}
}

func (k *checker) tree(id plumbing.Hash) (files, error) {
	if f, ok := k.trees[id]; ok {
		return f, nil
	}
	f, err := readTree(k.objects, id)
	if err != nil {
		return nil, err
	}
	if len(k.trees) >= maxTrees {
		clear(k.trees)
	}
	k.trees[id] = f
	return f, nil
}

// certificate reads the first certificate of a file.
func (k *checker) certificate(blob plumbing.Hash) (*identity.Certificate, error) {
	if c, ok := k.certs[blob]; ok {
		return c, nil
	}
	data, err := typed(k.objects, blob, plumbing.BlobObject)
	if err != nil {
		return nil, err
	}
	if len(data) > maxCertificate {
		return nil, fmt.Errorf("a certificate of %d bytes", len(data))
	}
	chain, err := identity.ParseChain(data)
	if err != nil {
		return nil, err
	}
	if chain.Leaf() == nil || chain.Leaf().PublicKey == nil {
		return nil, errors.New("no certificate of an RSA key")
	}
	if len(k.certs) >= maxCerts {
		clear(k.certs)
	}
	k.certs[blob] = chain.Leaf()
	return chain.Leaf(), nil
}

// accountFile checks that a file is the certificate of an account.
func (k *checker) accountFile(account string, blob plumbing.Hash) (*identity.Certificate, error) {
	c, err := k.certificate(blob)
	if err != nil {
		return nil, fmt.Errorf("certificate of account %s: %w", account, err)
	}
	if c.ID().String() != account {
		return nil, fmt.Errorf("the certificate of account %s is of key %s", account, c.ID())
	}
	return c, nil
}

// member finds the certificate of somebody who belongs to a tree.
func (k *checker) member(tree files, account string) (plumbing.Hash, bool) {
	if b, ok := tree[filePath("admins", account)]; ok {
		return b, true
	}
	b, ok := tree[filePath("members", account)]
	return b, ok
}

// author finds out whose device made a commit, and that this account belongs to
// the tree "among".
func (k *checker) author(c *commit.Commit, tree, among files) (string, error) {
	blob, ok := tree[filePath("devices", c.Device.String())]
	if !ok {
		return "", fmt.Errorf("the author's device %s is unknown", c.Device)
	}
	device, err := k.certificate(blob)
	if err != nil {
		return "", fmt.Errorf("certificate of device %s: %w", c.Device, err)
	}
	if device.LongID() != c.Device {
		return "", fmt.Errorf("the certificate of device %s is of key %s", c.Device, device.LongID())
	}
	account, err := k.issuer(device, blob, among)
	if err != nil {
		return "", err
	}
	certBlob, _ := k.member(among, account)
	cert, err := k.accountFile(account, certBlob)
	if err != nil {
		return "", err
	}
	if c.Time.After(device.NotAfter) || c.Time.After(cert.NotAfter) {
		return "", errors.New("the author's certificate had expired")
	}
	if err := c.Verify(device.PublicKey.RSA()); err != nil {
		return "", err
	}
	return account, nil
}

// who finds the author of a commit that was checked before.
func (k *checker) who(c *commit.Commit) (value.Key, error) {
	trees := []plumbing.Hash{c.Tree}
	for _, p := range c.Parents { // who left is in the parent's tree
		trees = append(trees, k.graph[p].tree)
	}
	var failed error
	for _, id := range trees {
		tree, err := k.tree(id)
		if err != nil {
			return value.Key{}, err
		}
		blob := tree[filePath("devices", c.Device.String())]
		device, err := k.certificate(blob)
		if err != nil {
			failed = err
			continue
		}
		account, err := k.issuer(device, blob, tree)
		if err == nil {
			return value.ParseKey(account)
		}
		failed = err
	}
	return value.Key{}, failed
}

// issuer finds the account, of those that belong to the tree, that issued a
// device's certificate.
func (k *checker) issuer(device *identity.Certificate, blob plumbing.Hash, among files) (string, error) {
	if uid := issuerUID(device); isID("members", uid) {
		cert, ok := k.member(among, uid)
		if !ok {
			return "", fmt.Errorf("the author %s is no member", uid)
		}
		return uid, k.vouches(device, blob, uid, cert)
	}
	// Certificates of managed accounts do not name their issuer so.
	for p, cert := range among {
		l, err := parsePath(p)
		if err == nil && (l.folder == adminsFolder || l.folder == membersFolder) && k.vouches(device, blob, l.id, cert) == nil {
			return l.id, nil
		}
	}
	return "", errors.New("no member's account issued the author's device")
}

// vouches checks that an account's certificate issued a device's.
func (k *checker) vouches(device *identity.Certificate, blob plumbing.Hash, account string, cert plumbing.Hash) error {
	key := [2]plumbing.Hash{blob, cert}
	if err, ok := k.issued[key]; ok {
		return err
	}
	a, err := k.accountFile(account, cert)
	if err == nil {
		if err = device.SignedBy(a); err != nil {
			err = fmt.Errorf("account %s did not issue the author's device: %w", account, err)
		}
	}
	if len(k.issued) >= maxCerts {
		clear(k.issued)
	}
	k.issued[key] = err
	return err
}

// issuerUID is the account id that a certificate's issuer name says.
func issuerUID(c *identity.Certificate) string {
	var sets []asn1.RawValue
	if rest, err := asn1.Unmarshal(c.RawIssuer, &sets); err != nil || len(rest) > 0 {
		return ""
	}
	uid := asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
	for _, set := range sets {
		var attr struct {
			Type  asn1.ObjectIdentifier
			Value asn1.RawValue
		}
		if _, err := asn1.Unmarshal(set.Bytes, &attr); err == nil && attr.Type.Equal(uid) {
			return string(attr.Value.Bytes)
		}
	}
	return ""
}

// check applies all rules to a commit and adds it to the graph.
func (k *checker) check(c *commit.Commit) error {
	n, err := k.apply(c)
	if err != nil {
		return invalid(c, err)
	}
	k.graph.add(n)
	return nil
}

func (k *checker) apply(c *commit.Commit) (*node, error) {
	tree, err := k.tree(c.Tree)
	if err != nil {
		return nil, err
	}
	m, err := commit.ParseMessage(c)
	if err != nil {
		return nil, err
	}
	n := &node{id: c.ID, parents: c.Parents, tree: c.Tree, time: c.Time.Unix(), kind: m.Type}
	if len(c.Parents) == 2 && c.Parents[0] == c.Parents[1] {
		return nil, errors.New("a merge of a commit with itself")
	}
	var parents []files
	for _, p := range c.Parents {
		pn, ok := k.graph[p]
		if !ok {
			return nil, fmt.Errorf("its parent %s is missing", p)
		}
		f, err := k.tree(pn.tree)
		if err != nil {
			return nil, err
		}
		parents = append(parents, f)
	}
	among := tree
	if m.Type == commit.TypeMember && m.Get("action") == commit.ActionRemove && len(parents) == 1 {
		among = parents[0] // who leaves is in the tree no more
	}
	account, err := k.author(c, tree, among)
	if err != nil {
		return nil, err
	}
	if n.account, err = value.ParseKey(account); err != nil {
		return nil, err
	}
	s := &step{checker: k, commit: c, message: m, account: account, after: tree}
	switch len(parents) {
	case 0:
		return n, s.initial()
	case 1:
		s.before = parents[0]
		if c.Tree != k.graph[c.Parents[0]].tree {
			s.changes = diff(s.before, s.after)
		}
		return n, s.single()
	default:
		return n, s.merge(parents[0], parents[1])
	}
}
