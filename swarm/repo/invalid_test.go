package repo

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/swarm/commit"
	"rendezvous/swarm/pack"
)

// forger makes any commit on top of a history, with no rule in its way.
type forger struct {
	t       *testing.T
	objects map[plumbing.Hash]pack.Object
	head    plumbing.Hash
	tree    files
	root    plumbing.Hash // a tree made by hand, used instead of tree
	time    time.Time
}

func forge(t *testing.T, r *Repository) *forger {
	return &forger{t: t, objects: everything(t, r), head: r.Head(), tree: maps.Clone(r.snapshot()), time: r.now()}
}

func (f *forger) put(kind plumbing.ObjectType, data []byte) plumbing.Hash {
	o := pack.Object{Type: kind, Data: data}
	f.objects[o.ID()] = o
	return o.ID()
}

func (f *forger) blob(data string) plumbing.Hash { return f.put(plumbing.BlobObject, []byte(data)) }

func (f *forger) writeTree() plumbing.Hash {
	if !f.root.IsZero() {
		return f.root
	}
	id, err := writeTree(f.tree, func(o pack.Object) (plumbing.Hash, error) { return f.put(o.Type, o.Data), nil })
	if err != nil {
		f.t.Fatal(err)
	}
	return id
}

// commit signs as somebody, as text says.
func (f *forger) commit(who int, text string, parents ...plumbing.Hash) *commit.Commit {
	return f.signed(who, people()[who].Device.Key, text, parents...)
}

func (f *forger) signed(who int, key *rsa.PrivateKey, text string, parents ...plumbing.Hash) *commit.Commit {
	if parents == nil {
		parents = []plumbing.Hash{f.head}
	}
	c, err := commit.Draft{Tree: f.writeTree(), Parents: parents, Name: "Mallory", Device: people()[who].DeviceLongID(), Time: f.time, Text: text}.Sign(key)
	if err != nil {
		f.t.Fatal(err)
	}
	f.head = f.put(plumbing.CommitObject, c.Raw())
	return c
}

// join makes somebody a member as they would themselves, with their device.
func (f *forger) join(who int) {
	id := account(who).String()
	delete(f.tree, filePath("invited", id))
	f.tree[filePath("members", id)] = f.blob(string(people()[who].Device.Chain[1:].PEM()))
	f.tree[filePath("devices", people()[who].DeviceLongID().String())] = f.blob(string(people()[who].Device.Chain[:1].PEM()))
}

// folder makes a tree object by hand on top of the present one.
func (f *forger) folder(mode, name string, id plumbing.Hash) {
	root := f.objects[f.writeTree()]
	var b bytes.Buffer
	b.Write(root.Data)
	b.WriteString(mode + " " + name + "\x00")
	b.Write(id[:])
	f.root = f.put(plumbing.TreeObject, b.Bytes())
}

// Every invalid history is refused with its reason, and changes nothing.
func TestInvalidHistories(t *testing.T) {
	id := func(who int) string { return account(who).String() }
	device := func(who int) string { return people()[who].DeviceLongID().String() }
	text := commit.Text("hello").Text()
	groups := map[commit.Mode]*Repository{}
	for _, mode := range []commit.Mode{commit.AdminInvitesOnly, commit.InvitesOnly} {
		groups[mode] = create(t, alice, mode, nil)
		member(t, groups[mode], bob)
		must[Entry](t)(groups[mode].Invite(account(carol)))
	}
	for name, c := range map[string]struct {
		mode   commit.Mode
		reason string
		forge  func(f *forger)
	}{
		"not signed": {reason: "not signed", forge: func(f *forger) {
			c := f.commit(bob, text)
			f.head = f.put(plumbing.CommitObject, c.Signed())
		}},
		"signed by another key": {reason: "bad signature", forge: func(f *forger) {
			f.signed(bob, people()[eve].Device.Key, text)
		}},
		"signed, then changed": {reason: "bad signature", forge: func(f *forger) {
			c := f.commit(bob, text)
			f.head = f.put(plumbing.CommitObject, bytes.Replace(c.Raw(), []byte("hello"), []byte("howdy"), 1))
		}},
		"signature of another commit": {reason: "bad signature", forge: func(f *forger) {
			a, b := f.commit(bob, text), f.commit(bob, commit.Text("other").Text(), f.head)
			f.head = f.put(plumbing.CommitObject, bytes.Replace(b.Raw(),
				[]byte(base64.StdEncoding.EncodeToString(b.Signature)), []byte(base64.StdEncoding.EncodeToString(a.Signature)), 1))
		}},
		"gpgsig instead of signature": {reason: "unexpected header", forge: func(f *forger) {
			c := f.commit(bob, text)
			f.head = f.put(plumbing.CommitObject, bytes.Replace(c.Raw(), []byte("\nsignature "), []byte("\ngpgsig "), 1))
		}},
		"wrong author": {reason: "bad signature", forge: func(f *forger) {
			f.signed(alice, people()[bob].Device.Key, text)
		}},
		"author unknown": {reason: "unknown", forge: func(f *forger) { f.commit(eve, text) }},
		"stranger brings their device": {reason: "no member", forge: func(f *forger) {
			f.tree[filePath("devices", device(eve))] = f.blob(string(people()[eve].Device.Chain[:1].PEM()))
			f.commit(eve, text)
		}},
		"stranger brings themselves": {reason: "no member", forge: func(f *forger) {
			f.join(eve)
			f.commit(eve, text)
		}},
		"device that says another account issued it": {reason: "did not issue", forge: func(f *forger) {
			f.tree[filePath("devices", device(eve))] = f.blob(pretender(f.t, eve, alice))
			f.commit(eve, text)
		}},
		"account with another's certificate": {reason: "is of key", forge: func(f *forger) {
			f.tree[filePath("devices", device(eve))] = f.blob(string(people()[eve].Device.Chain[:1].PEM()))
			f.tree[filePath("members", id(eve))] = f.tree[filePath("admins", id(alice))]
			f.commit(eve, text)
		}},
		"expired": {reason: "expired", forge: func(f *forger) {
			f.time = f.time.Add(20 * 365 * 24 * time.Hour)
			f.commit(bob, text)
		}},
		"joins uninvited": {reason: "without being invited", forge: func(f *forger) {
			f.join(eve)
			f.commit(eve, commit.Member("join", id(eve)).Text())
		}},
		"joins for another": {reason: "joins as", forge: func(f *forger) {
			delete(f.tree, filePath("invited", id(carol)))
			f.tree[filePath("members", id(carol))] = f.blob(string(people()[carol].Device.Chain[1:].PEM()))
			f.commit(bob, commit.Member("join", id(carol)).Text())
		}},
		"joins with another's certificate": {reason: "is of key", forge: func(f *forger) {
			f.join(carol)
			f.tree[filePath("members", id(carol))] = f.blob(string(people()[eve].Device.Chain[1:].PEM()))
			f.commit(carol, commit.Member("join", id(carol)).Text())
		}},
		"joins as admin": {reason: "joining changes", forge: func(f *forger) {
			f.join(carol)
			f.tree[filePath("admins", id(carol))] = f.tree[filePath("members", id(carol))]
			f.commit(carol, commit.Member("join", id(carol)).Text())
		}},
		"joins and stays invited": {reason: "not complete", forge: func(f *forger) {
			f.join(carol)
			f.tree[filePath("invited", id(carol))] = emptyBlob
			f.commit(carol, commit.Member("join", id(carol)).Text())
		}},
		"member makes themselves admin": {reason: "a message changes", forge: func(f *forger) {
			f.tree[filePath("admins", id(bob))] = f.tree[filePath("members", id(bob))]
			f.commit(bob, text)
		}},
		"member removes another": {reason: "removes", forge: func(f *forger) {
			delete(f.tree, filePath("admins", id(alice)))
			f.commit(bob, commit.Member("remove", id(alice)).Text())
		}},
		"leaves and takes another along": {reason: "leaving changes", forge: func(f *forger) {
			delete(f.tree, filePath("members", id(bob)))
			delete(f.tree, filePath("admins", id(alice)))
			f.commit(bob, commit.Member("remove", id(bob)).Text())
		}},
		"leaves and stays": {reason: "not complete", forge: func(f *forger) {
			f.commit(bob, commit.Member("remove", id(bob)).Text())
		}},
		"adds two at once": {reason: "nothing else", forge: func(f *forger) {
			f.tree[filePath("invited", id(dave))] = f.blob("")
			f.tree[filePath("invited", id(eve))] = f.blob("")
			f.commit(bob, commit.Member("add", id(dave)).Text())
		}},
		"adds and says another": {reason: "nothing else", forge: func(f *forger) {
			f.tree[filePath("invited", id(dave))] = f.blob("")
			f.commit(bob, commit.Member("add", id(eve)).Text())
		}},
		"adds who is there": {reason: "already", forge: func(f *forger) {
			f.tree[filePath("invited", id(alice))] = f.blob("")
			f.commit(bob, commit.Member("add", id(alice)).Text())
		}},
		"adds with content": {reason: "not new and empty", forge: func(f *forger) {
			f.tree[filePath("invited", id(dave))] = f.blob("x")
			f.commit(bob, commit.Member("add", id(dave)).Text())
		}},
		"member adds where admins do": {mode: commit.AdminInvitesOnly, reason: "no admin", forge: func(f *forger) {
			f.tree[filePath("invited", id(dave))] = f.blob("")
			f.commit(bob, commit.Member("add", id(dave)).Text())
		}},
		"adds no account": {reason: "invites", forge: func(f *forger) { f.commit(bob, commit.Member("add", "../../x").Text()) }},
		"unknown action":  {reason: "unknown action", forge: func(f *forger) { f.commit(bob, commit.Member("promote", id(bob)).Text()) }},
		"member votes": {reason: "no admin", forge: func(f *forger) {
			f.tree[votePath(false, "admins", id(alice), id(bob))] = f.blob("")
			f.commit(bob, commit.Vote(id(alice)).Text())
		}},
		"votes as another": {reason: "votes as", forge: func(f *forger) {
			f.tree[votePath(false, "members", id(dave), id(alice))] = f.blob("")
			f.commit(bob, commit.Vote(id(dave)).Text())
		}},
		"votes about nobody": {reason: "does not exist", forge: func(f *forger) {
			f.tree[votePath(false, "members", id(eve), id(alice))] = f.blob("")
			f.commit(alice, commit.Vote(id(eve)).Text())
		}},
		"votes about themselves": {reason: "oneself", forge: func(f *forger) {
			f.tree[votePath(false, "admins", id(alice), id(alice))] = f.blob("")
			f.commit(alice, commit.Vote(id(alice)).Text())
		}},
		"two votes at once": {reason: "a vote changes", forge: func(f *forger) {
			f.tree[votePath(false, "members", id(bob), id(alice))] = f.blob("")
			f.tree[votePath(true, "members", id(bob), id(alice))] = f.blob("")
			f.commit(alice, commit.Vote(id(bob)).Text())
		}},
		"bans without votes": {reason: "0 votes", forge: func(f *forger) {
			f.tree[bannedPath("members", id(bob))] = f.tree[filePath("members", id(bob))]
			delete(f.tree, filePath("members", id(bob)))
			f.commit(alice, commit.Member("ban", id(bob)).Text())
		}},
		"member bans": {reason: "no admin", forge: func(f *forger) {
			f.tree[bannedPath("admins", id(alice))] = f.tree[filePath("admins", id(alice))]
			delete(f.tree, filePath("admins", id(alice)))
			f.commit(bob, commit.Member("ban", id(alice)).Text())
		}},
		"bans another than voted for": {reason: "votes of", forge: func(f *forger) {
			vote := votePath(false, "members", id(bob), id(alice))
			f.tree[vote] = f.blob("")
			f.commit(alice, commit.Vote(id(bob)).Text())
			delete(f.tree, vote)
			f.tree[bannedPath("invited", id(carol))] = f.blob("")
			delete(f.tree, filePath("invited", id(carol)))
			f.commit(alice, commit.Member("ban", id(carol)).Text())
		}},
		"bans and does not move": {reason: "does not move", forge: func(f *forger) {
			vote := votePath(false, "members", id(bob), id(alice))
			f.tree[vote] = f.blob("")
			f.commit(alice, commit.Vote(id(bob)).Text())
			delete(f.tree, vote)
			f.commit(alice, commit.Member("ban", id(bob)).Text())
		}},
		"bans and writes more": {reason: "a ban changes", forge: func(f *forger) {
			vote := votePath(false, "members", id(bob), id(alice))
			f.tree[vote] = f.blob("")
			f.commit(alice, commit.Vote(id(bob)).Text())
			delete(f.tree, vote)
			f.tree[bannedPath("members", id(bob))] = f.tree[filePath("members", id(bob))]
			delete(f.tree, filePath("members", id(bob)))
			f.tree["profile.vcf"] = f.blob("x")
			f.commit(alice, commit.Member("ban", id(bob)).Text())
		}},
		"the banned writes": {reason: "no member", forge: func(f *forger) {
			vote := votePath(false, "members", id(bob), id(alice))
			f.tree[vote] = f.blob("")
			f.commit(alice, commit.Vote(id(bob)).Text())
			delete(f.tree, vote)
			f.tree[bannedPath("members", id(bob))] = f.tree[filePath("members", id(bob))]
			delete(f.tree, filePath("members", id(bob)))
			f.commit(alice, commit.Member("ban", id(bob)).Text())
			f.commit(bob, text)
		}},
		"a merge takes a ban back": {reason: "goes back", forge: func(f *forger) {
			before, old := f.head, maps.Clone(f.tree)
			vote := votePath(false, "members", id(bob), id(alice))
			f.tree[vote] = f.blob("")
			f.commit(alice, commit.Vote(id(bob)).Text())
			delete(f.tree, vote)
			f.tree[bannedPath("members", id(bob))] = f.tree[filePath("members", id(bob))]
			delete(f.tree, filePath("members", id(bob)))
			banned := f.commit(alice, commit.Member("ban", id(bob)).Text())
			f.tree = old
			side := f.commit(bob, text, before)
			f.commit(bob, commit.Merge(side.ID).Text(), banned.ID, side.ID)
		}},
		"a merge with a file of its own": {reason: "neither parent", forge: func(f *forger) {
			before := f.head
			x, y := f.commit(bob, text, before), f.commit(bob, commit.Text("y").Text(), before)
			f.tree["profile.vcf"] = f.blob("mine")
			f.commit(bob, commit.Merge(y.ID).Text(), x.ID, y.ID)
		}},
		"a merge with itself": {reason: "itself", forge: func(f *forger) { f.commit(bob, commit.Merge(f.head).Text(), f.head, f.head) }},
		"three parents": {reason: "more than two parents", forge: func(f *forger) {
			x, y, z := f.commit(bob, text, f.head), f.commit(bob, "1", f.head), f.commit(bob, "2", f.head)
			raw := bytes.Replace(z.Raw(), []byte("\nauthor"), []byte("\nparent "+x.ID.String()+"\nparent "+y.ID.String()+"\nauthor"), 1)
			f.head = f.put(plumbing.CommitObject, raw)
		}},
		"a second initial commit": {reason: "second initial", forge: func(f *forger) {
			f.commit(alice, commit.Initial(commit.InvitesOnly, "").Text(), []plumbing.Hash{}...)
		}},
		"a second beginning": {reason: "second initial", forge: func(f *forger) { f.beginning(alice) }},
		"two beginnings merged": {reason: "second initial", forge: func(f *forger) {
			old := f.head
			other := f.beginning(alice)
			f.commit(bob, commit.Merge(other).Text(), old, other)
		}},
		"the past rewritten": {reason: "second initial", forge: func(f *forger) {
			f.beginning(alice)
			f.commit(alice, text)
		}},
		"the past is missing": {reason: "no such object", forge: func(f *forger) {
			f.commit(bob, text, plumbing.NewHash(strings.Repeat("12", 20)))
		}},
		"a file is missing": {reason: "no such object", forge: func(f *forger) {
			f.tree["profile.vcf"] = plumbing.NewHash(strings.Repeat("12", 20))
			f.commit(alice, commit.UpdateProfile().Text())
		}},
		"a tree is missing": {reason: "no such object", forge: func(f *forger) {
			f.root = plumbing.NewHash(strings.Repeat("12", 20))
			f.commit(bob, text)
		}},
		"a commit for a tree": {reason: "not a tree", forge: func(f *forger) {
			f.root = f.head
			f.commit(bob, text)
		}},
		"profile by a member": {reason: "no admin", forge: func(f *forger) {
			f.tree["profile.vcf"] = f.blob("x")
			f.commit(bob, commit.UpdateProfile().Text())
		}},
		"profile too big": {reason: "a profile of", forge: func(f *forger) {
			f.tree["profile.vcf"] = f.blob(strings.Repeat("x", MaxProfile+1))
			f.commit(alice, commit.UpdateProfile().Text())
		}},
		"profile changes members": {reason: "nothing else", forge: func(f *forger) {
			f.tree["profile.vcf"] = f.blob("x")
			delete(f.tree, filePath("members", id(bob)))
			f.commit(alice, commit.UpdateProfile().Text())
		}},
		"message too big": {reason: "malformed commit", forge: func(f *forger) {
			c := f.commit(bob, text)
			f.head = f.put(plumbing.CommitObject, append(bytes.Clone(c.Raw()), make([]byte, commit.MaxSize)...))
		}},
		"edit of another's message": {reason: "edits a message of", forge: func(f *forger) {
			c := f.commit(alice, text)
			f.commit(bob, commit.Edit("x", c.ID).Text())
		}},
		"edit as newer clients write it": {reason: "edits a message of", forge: func(f *forger) {
			c := f.commit(alice, text)
			f.commit(bob, `{"body":"x","edit":"`+c.ID.String()+`","type":"text/plain"}`)
		}},
		"edit of nothing":      {reason: "does not exist", forge: func(f *forger) { f.commit(bob, `{"body":"x","edit":"abc","type":"text/plain"}`) }},
		"message without type": {reason: "no type", forge: func(f *forger) { f.commit(bob, `{"body":"x"}`) }},
		"message is no JSON":   {reason: "malformed message", forge: func(f *forger) { f.commit(bob, "hello") }},
		"message deletes a device": {reason: "a message changes", forge: func(f *forger) {
			delete(f.tree, filePath("devices", device(alice)))
			f.commit(bob, text)
		}},
		"message adds a revocation list": {reason: "no place", forge: func(f *forger) {
			f.tree["CRLs/"+id(bob)] = f.blob("x")
			f.commit(bob, text)
		}},
		"path ..":           {reason: "no name", forge: func(f *forger) { f.folder("100644", "..", emptyBlob); f.commit(bob, text) }},
		"path .":            {reason: "no name", forge: func(f *forger) { f.folder("100644", ".", emptyBlob); f.commit(bob, text) }},
		"path .git":         {reason: "", forge: func(f *forger) { f.folder("100644", ".git", emptyBlob); f.commit(bob, text) }},
		"path zz/../x":      {reason: "path within a name", forge: func(f *forger) { f.folder("100644", "zz/../x", emptyBlob); f.commit(bob, text) }},
		"path \\":           {reason: "path within a name", forge: func(f *forger) { f.folder("100644", `zz\x`, emptyBlob); f.commit(bob, text) }},
		"no name":           {reason: "", forge: func(f *forger) { f.folder("100644", "", emptyBlob); f.commit(bob, text) }},
		"unknown file":      {reason: "no place", forge: func(f *forger) { f.folder("100644", "zzz", emptyBlob); f.commit(bob, text) }},
		"symbolic link":     {reason: "symbolic link", forge: func(f *forger) { f.folder("120000", "zzz", f.blob("/etc/passwd")); f.commit(bob, text) }},
		"submodule":         {reason: "submodule", forge: func(f *forger) { f.folder("160000", "zzz", f.head); f.commit(bob, text) }},
		"executable":        {reason: "has mode", forge: func(f *forger) { f.folder("100755", "zzz", emptyBlob); f.commit(bob, text) }},
		"same name twice":   {reason: "out of order", forge: func(f *forger) { f.folder("40000", "members", f.root); f.commit(bob, text) }},
		"tree out of order": {reason: "out of order", forge: func(f *forger) { f.folder("100644", "aaa", emptyBlob); f.commit(bob, text) }},
		"bottomless folders": {reason: "too deep", forge: func(f *forger) {
			inner := f.put(plumbing.TreeObject, append([]byte("100644 x\x00"), emptyBlob[:]...))
			for range 10 {
				inner = f.put(plumbing.TreeObject, append([]byte("40000 zz\x00"), inner[:]...))
			}
			f.folder("40000", "zz", inner)
			f.commit(bob, text)
		}},
		"tree cut off": {reason: "malformed", forge: func(f *forger) {
			f.root = f.put(plumbing.TreeObject, []byte("100644 profile.vcf\x00short"))
			f.commit(bob, text)
		}},
		"a good commit on a bad one": {reason: "a message changes", forge: func(f *forger) {
			old := maps.Clone(f.tree)
			delete(f.tree, filePath("devices", device(alice)))
			f.commit(bob, text)
			f.tree = old
			f.commit(alice, text)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.mode == 0 {
				c.mode = commit.InvitesOnly
			}
			a := groups[c.mode]
			f := forge(t, a)
			c.forge(f)
			head, n := a.Head(), len(a.Linearised())
			_, err := a.Integrate(f.head, f.objects, nil)
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("fetched: %v, want %q", err, c.reason)
			}
			if a.Head() != head || len(a.Linearised()) != n || len(a.k.graph) != n {
				t.Error("something of it was taken")
			}
			if _, err := Clone(t.TempDir()+"/c", author(carol), a.ID(), f.head, f.objects, a.now); !errors.Is(err, ErrInvalid) {
				t.Errorf("cloned: %v", err)
			}
		})
	}
	for _, a := range groups {
		check(t, a)
	}
}

// pretender is a device certificate that names one account as its issuer and is
// signed by another.
func pretender(t *testing.T, who, issuer int) string {
	t.Helper()
	parent := must[*x509.Certificate](t)(people()[issuer].Device.Chain[1].X509())
	parent.PublicKey = people()[who].Master.Key.Public()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, parent, people()[who].Device.Key.Public(), people()[who].Master.Key))
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// beginning makes an initial commit of its own.
func (f *forger) beginning(who int) plumbing.Hash {
	f.tree = files{
		filePath("admins", account(who).String()):                  f.blob(string(people()[who].Device.Chain[1:].PEM())),
		filePath("devices", people()[who].DeviceLongID().String()): f.blob(string(people()[who].Device.Chain[:1].PEM())),
	}
	c, err := commit.Draft{Tree: f.writeTree(), Device: people()[who].DeviceLongID(), Time: f.time, Text: commit.Initial(commit.InvitesOnly, "").Text()}.Sign(people()[who].Device.Key)
	if err != nil {
		f.t.Fatal(err)
	}
	f.head = f.put(plumbing.CommitObject, c.Raw())
	return f.head
}

// Initial commits that do not keep the rules begin nothing.
func TestInvalidBeginnings(t *testing.T) {
	for name, c := range map[string]struct {
		message commit.Message
		change  func(f *forger)
	}{
		"mode of documents":          {commit.Initial(4, ""), nil},
		"negative mode":              {commit.Initial(-1, ""), nil},
		"no initial message":         {commit.Text("hi"), nil},
		"one-to-one with nobody":     {commit.Initial(commit.OneToOne, ""), nil},
		"one-to-one with themselves": {commit.Initial(commit.OneToOne, account(alice).String()), nil},
		"one-to-one, file missing":   {commit.Initial(commit.OneToOne, account(bob).String()), nil},
		"somebody else in it": {commit.Initial(commit.InvitesOnly, ""), func(f *forger) {
			f.tree[filePath("admins", account(eve).String())] = f.blob(string(people()[eve].Device.Chain[1:].PEM()))
		}},
		"no admin": {commit.Initial(commit.InvitesOnly, ""), func(f *forger) {
			f.tree[filePath("members", account(alice).String())] = f.tree[filePath("admins", account(alice).String())]
			delete(f.tree, filePath("admins", account(alice).String()))
		}},
	} {
		a := create(t, alice, commit.InvitesOnly, nil)
		f := forge(t, a)
		if c.change != nil {
			c.change(f)
		}
		x, err := commit.Draft{Tree: f.writeTree(), Device: people()[alice].DeviceLongID(), Time: f.time, Text: c.message.Text()}.Sign(people()[alice].Device.Key)
		if err != nil {
			t.Fatal(err)
		}
		f.put(plumbing.CommitObject, x.Raw())
		if _, err := Clone(t.TempDir()+"/c", author(alice), x.ID, x.ID, f.objects, a.now); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
