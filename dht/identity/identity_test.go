package identity

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
)

// Facts of the captured account, which a Jami daemon made; see testdata.
const (
	capturedAccount = "d90dd9ede00643e566386143c00729550213b3ee"
	capturedDevice  = "0610dd0140066b4293984c9298b81e1ea48d902d"
	capturedLong    = "37489ac51936110d144c44486e66535ef543a2f6ed4ff436bdfbef0718a72064"
)

// capturedNow is a time at which the captured certificates are valid.
var capturedNow = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func capturedChain(t testing.TB) Chain {
	t.Helper()
	chain, err := ParseChain(bytes.Join([][]byte{read(t, "device.pem"), read(t, "account.pem"), read(t, "ca.pem")}, nil))
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

// newAccount is made once, with small keys.
var newAccount = sync.OnceValues(func() (*Account, error) { return NewAccountBits(time.Now(), 2048) })

func account(t testing.TB) *Account {
	t.Helper()
	a, err := newAccount()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestCapturedChain(t *testing.T) {
	chain := capturedChain(t)
	if len(chain) != 3 {
		t.Fatalf("chain of %d", len(chain))
	}
	device := chain[0]
	if device.ID().String() != capturedDevice || device.LongID().String() != capturedLong {
		t.Errorf("device %s, %s", device.ID(), device.LongID())
	}
	if device.CommonName != "Jami device" || device.UID != capturedDevice || device.IsCA {
		t.Errorf("device certificate %q %q %v", device.CommonName, device.UID, device.IsCA)
	}
	if device.Serial.String() != "-7315896609337133295" {
		t.Errorf("serial %s: it is negative, as about half of Jami's are", device.Serial)
	}
	if id, err := chain.AccountID(); err != nil || id.String() != capturedAccount {
		t.Errorf("account %s, %v", id, err)
	}
	if !chain[1].IsCA || !chain[2].IsCA || !chain[2].selfSigned() {
		t.Error("account and CA should be CAs, and the CA its own issuer")
	}
	for _, now := range []time.Time{capturedNow, chain[2].NotBefore.Add(-23 * time.Hour)} { // a clock that goes ahead
		if err := chain.Verify(now); err != nil {
			t.Error(err)
		}
	}
	again, err := ParseChain(chain.PEM())
	if err != nil || !again.Equal(chain) {
		t.Errorf("written and read again: %v", err)
	}
}

// A serial that is not minimal DER, which crypto/x509 refuses whatever its settings, is read.
func TestNonMinimalSerial(t *testing.T) {
	raw := bytes.Clone(account(t).Device.Chain[0].Raw)
	serial := account(t).Device.Chain[0].Serial.Bytes()
	i := bytes.Index(raw, serial)
	raw[i], raw[i+1] = 0x00, 0x01
	c, err := ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.X509(); err == nil {
		t.Error("crypto/x509 reads such serials now: the own parser may have lost its point")
	}
	if c.ID() != account(t).DeviceID() {
		t.Error("the key is another one")
	}
}

// GnuTLS, which makes Jami's certificates, writes serials minimal, whatever it is given, so that crypto/x509 reads all of them.
func TestSerialsOfGnuTLS(t *testing.T) {
	dir := t.TempDir()
	key, err := account(t).Device.MarshalKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{
		"0001020304050607": "1020304050607", // one octet too many
		"0000000304050607": "304050607",
		"0091020304050607": "91020304050607", // needed: else it would be negative
		"9102030405060708": "-6efdfcfbfaf9f8f8",
		"ff81020304050607": "-7efdfcfbfaf9f9", // one too many
		"ff01020304050607": "-fefdfcfbfaf9f9",
	} {
		if err := os.WriteFile(filepath.Join(dir, "template"), []byte("cn = x\nserial = 0x"+given+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("certtool", "--generate-self-signed", "--load-privkey", "key.pem", "--template", "template", "--outder", "--outfile", "der")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("certtool: %v\n%s", err, out)
		}
		der, err := os.ReadFile(filepath.Join(dir, "der"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		x, err := c.X509()
		if err != nil {
			t.Fatalf("serial %s: %v", given, err)
		}
		if x.SerialNumber.Text(16) != want || c.Serial.Text(16) != want {
			t.Errorf("serial %s is %x and %x, want %s", given, x.SerialNumber, c.Serial, want)
		}
	}
}

func TestChainRefused(t *testing.T) {
	captured, own := capturedChain(t), account(t).Device.Chain
	signatureBroken := func(c *Certificate) *Certificate {
		broken := *c
		broken.signature = bytes.Clone(c.signature)
		broken.signature[10] ^= 1
		return &broken
	}
	notCA := *captured[1]
	notCA.IsCA = false
	for name, c := range map[string]struct {
		chain Chain
		now   time.Time
	}{
		"empty":                  {nil, capturedNow},
		"without issuer":         {captured[:1], capturedNow},
		"self-signed":            {Chain{captured[2], captured[2]}, capturedNow},
		"wrong order":            {Chain{captured[1], captured[0], captured[2]}, capturedNow},
		"another account's":      {Chain{captured[0], own[1], own[2]}, capturedNow},
		"bad device signature":   {Chain{signatureBroken(captured[0]), captured[1], captured[2]}, capturedNow},
		"bad account signature":  {Chain{captured[0], signatureBroken(captured[1]), captured[2]}, capturedNow},
		"issuer without CA flag": {Chain{captured[0], &notCA, captured[2]}, capturedNow},
		"not valid yet":          {captured, captured[0].NotBefore.Add(-24*time.Hour - time.Second)},
		"not valid any more":     {captured, time.Date(2037, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if err := c.chain.Verify(c.now); !errors.Is(err, ErrChain) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewAccount(t *testing.T) {
	a := account(t)
	chain := a.Device.Chain
	if err := chain.Verify(time.Now()); err != nil {
		t.Fatal(err)
	}
	if chain[0].ID() != a.DeviceID() || chain[1].ID() != a.ID() || chain[0].LongID() != a.DeviceLongID() {
		t.Error("ids and certificates differ")
	}
	// The same shape as the captured one: names and their order, string types, and no extension of the device but the
	// authority key identifier that Go adds.
	captured := capturedChain(t)
	for i, name := range []string{"Jami device", "Jami", "Jami CA"} {
		if chain[i].CommonName != name || chain[i].UID != chain[i].ID().String() || chain[i].Serial.Sign() <= 0 {
			t.Errorf("certificate %d: %q %q serial %s", i, chain[i].CommonName, chain[i].UID, chain[i].Serial)
		}
		ours := bytes.ReplaceAll(chain[i].RawSubject, []byte(chain[i].UID), nil)
		theirs := bytes.ReplaceAll(captured[i].RawSubject, []byte(captured[i].UID), nil)
		if !bytes.Equal(ours, theirs) {
			t.Errorf("subject %d is encoded as %x, Jami's as %x", i, ours, theirs)
		}
		if chain[i].NotAfter.Sub(chain[i].NotBefore) != 3650*24*time.Hour {
			t.Errorf("certificate %d is valid for %v", i, chain[i].NotAfter.Sub(chain[i].NotBefore))
		}
	}
	x, err := chain[0].X509()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range x.Extensions {
		if !e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 35}) {
			t.Errorf("device certificate has extension %s", e.Id)
		}
	}
}

// openssl, which knows nothing of us, accepts the chain.
func TestOpenSSL(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"device.pem", "account.pem", "ca.pem"} {
		if err := os.WriteFile(filepath.Join(dir, name), Chain{account(t).Device.Chain[i]}.PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("openssl", "verify", "-CAfile", "ca.pem", "-untrusted", "account.pem", "device.pem")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "device.pem: OK") {
		t.Errorf("openssl: %v\n%s", err, out)
	}
}

func TestSaveLoad(t *testing.T) {
	a, dir := account(t), filepath.Join(t.TempDir(), "account")
	if _, err := LoadAccount(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("loading what is not there: %v", err)
	}
	if err := a.Save(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
	b, err := LoadAccount(dir)
	if err != nil {
		t.Fatal(err)
	}
	if b.ID() != a.ID() || b.DeviceLongID() != a.DeviceLongID() || !b.Device.Chain.Equal(a.Device.Chain) ||
		!b.Announcement.Equal(a.Announcement) || !b.Master.Key.Equal(a.Master.Key) || !b.CA.Key.Equal(a.CA.Key) {
		t.Error("loaded something else than saved")
	}
	if list, err := filepath.Glob(filepath.Dir(dir) + "/*"); err != nil || len(list) != 1 {
		t.Errorf("beside the account is %v, %v", list, err)
	}
	// What is there is not replaced, not even if it is incomplete; and one file that is missing is no account that is missing.
	if err := a.Save(dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("saving over an account: %v", err)
	}
	for _, name := range []string{fileDeviceKey, fileChain, fileAnnouncement, fileReceipt, fileReceiptSig} {
		file := filepath.Join(dir, name)
		if err := os.Rename(file, file+".aside"); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadAccount(dir); !errors.Is(err, ErrIncomplete) || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
		if err := os.Rename(file+".aside", file); err != nil {
			t.Fatal(err)
		}
	}
	// An account can do without the keys of account and CA.
	for _, name := range []string{fileAccountKey, fileCAKey} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if b, err = LoadAccount(dir); err != nil || b.Master != nil || b.CA != nil {
		t.Errorf("without the account's own keys: %+v, %v", b, err)
	}
	// It cannot do with another device's key.
	other, err := (&Identity{Key: a.CA.Key}).MarshalKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, fileDeviceKey), other, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadAccount(dir); err == nil {
		t.Error("loaded an account with another key than its certificate's")
	}
}

// The announcement a daemon made reads as ours do.
func TestCapturedAnnouncement(t *testing.T) {
	text := string(read(t, "announcement.txt"))
	digits := regexp.MustCompile(`(?s)hex \(1696 bytes\):\n(.*)`).FindStringSubmatch(text)[1]
	packed, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
	if err != nil {
		t.Fatal(err)
	}
	v, err := value.Unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	id, err := value.ParseKey(capturedAccount)
	if err != nil {
		t.Fatal(err)
	}
	a, err := ParseAnnouncement(v, id)
	if err != nil {
		t.Fatal(err)
	}
	if a.Device.String() != capturedDevice || a.PublicKey.LongID().String() != capturedLong {
		t.Errorf("announces %s, %s", a.Device, a.PublicKey.LongID())
	}
	if !bytes.Equal(v.Pack(), packed) {
		t.Error("packs into other bytes")
	}
	if _, err := ParseAnnouncement(v, value.RandomKey()); !errors.Is(err, ErrAnnouncement) {
		t.Errorf("at another account: %v", err)
	}
	v.Data[30] ^= 1
	if _, err := ParseAnnouncement(v, id); !errors.Is(err, ErrAnnouncement) {
		t.Errorf("tampered: %v", err)
	}
}

func TestOwnAnnouncement(t *testing.T) {
	a := account(t)
	got, err := ParseAnnouncement(a.Announcement, a.ID())
	if err != nil || got.Device != a.DeviceID() || !got.PublicKey.Equal(a.Device.PublicKey()) {
		t.Errorf("%+v, %v", got, err)
	}
	// Another account cannot announce our device as its own under our id.
	forged := a.Announcement.Clone()
	if err := forged.Sign(a.CA.Key); err != nil {
		t.Fatal(err)
	}
	if _, err := ParseAnnouncement(forged, a.ID()); !errors.Is(err, ErrAnnouncement) {
		t.Errorf("signed by another key: %v", err)
	}
}

func TestReceipts(t *testing.T) {
	text := string(read(t, "receipt.txt"))
	m := regexp.MustCompile(`(?s)signed bytes\):\n(\{.*\})\n\n.*base64:\n(\S+)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatal("no receipt in testdata")
	}
	sig, err := base64.StdEncoding.DecodeString(m[2])
	if err != nil {
		t.Fatal(err)
	}
	captured := Receipt{Text: []byte(m[1]), Signature: sig}
	a, err := captured.Check(capturedChain(t)[1])
	if err != nil || a.Device.String() != capturedDevice {
		t.Errorf("captured receipt: %+v, %v", a, err)
	}
	own := account(t)
	if a, err := own.Receipt.Check(own.Device.Chain[1]); err != nil || a.Device != own.DeviceID() {
		t.Errorf("own receipt: %+v, %v", a, err)
	}
	if _, err := own.Receipt.Check(capturedChain(t)[1]); err == nil {
		t.Error("a receipt passed as another account's")
	}
}

func TestCertificateValue(t *testing.T) {
	chain := account(t).Device.Chain
	v := CertificateValue(chain)
	if v.ID != 1 || v.Type != value.Certificate || v.Data[0] != 0xc5 || !bytes.HasPrefix(v.Data[3:], []byte("-----BEGIN")) {
		t.Errorf("value %d %d %x", v.ID, v.Type, v.Data[:8])
	}
	got, err := ParseCertificateValue(v)
	if err != nil || !got.Equal(chain) {
		t.Errorf("read again: %v", err)
	}
	for name, data := range map[string][]byte{"bare PEM": chain.PEM(), "DER": chain[0].Raw} {
		if got, err := ParseCertificateValue(&value.Value{Type: value.Certificate, Data: data}); err != nil || !got[0].Equal(chain[0]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStore(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenStore(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	own, captured := account(t).Device.Chain, capturedChain(t)
	for _, c := range []Chain{own, captured} {
		if err := s.Pin(c); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := s.Lookup(KeyIDs{Short: own[0].ID()}); ok {
		t.Error("the store holds more than it may")
	}
	again, err := OpenStore(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []KeyIDs{{Short: captured[0].ID()}, {Long: captured[0].LongID()}} {
		if c, ok := again.Lookup(id); !ok || !c.Equal(captured) {
			t.Errorf("%s is not found after reopening", id)
		}
	}
}

func FuzzParseChain(f *testing.F) {
	chain := capturedChain(f)
	f.Add(chain.PEM())
	f.Add(chain[0].Raw)
	f.Fuzz(func(t *testing.T, b []byte) {
		chain, err := ParseChain(b)
		if err != nil {
			return
		}
		if again, err := ParseChain(chain.PEM()); err != nil || !again.Equal(chain) {
			t.Fatalf("written and read again: %v", err)
		}
		chain.Verify(capturedNow)
	})
}

func FuzzParseAnnouncement(f *testing.F) {
	a := account(f)
	f.Add(a.Announcement.Data)
	f.Fuzz(func(t *testing.T, data []byte) {
		v := &value.Value{ID: 1, Data: data}
		if err := a.Master.Sign(v); err != nil {
			t.Fatal(err)
		}
		if got, err := ParseAnnouncement(v, a.ID()); err == nil && got.Device.IsZero() {
			t.Fatal("announces nothing")
		}
	})
}

// A revoked device is refused, by a list the account signed only.
func TestRevocation(t *testing.T) {
	a := account(t)
	list := func(signer *Identity, serial *big.Int) *RevocationList {
		t.Helper()
		issuer, err := signer.Chain[0].X509()
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
			Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
			RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: serial, RevocationTime: time.Now()}},
		}, issuer, signer.Key)
		if err != nil {
			t.Fatal(err)
		}
		l, err := ParseRevocationValue(&value.Value{Data: msgpack.AppendBytes(nil, der)})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	chain := a.Device.Chain
	if err := chain.Verify(time.Now(), list(a.Master, chain[0].Serial)); !errors.Is(err, ErrChain) {
		t.Errorf("revoked by its account: %v", err)
	}
	if err := chain.Verify(time.Now(), list(a.Master, big.NewInt(5))); err != nil {
		t.Errorf("another one is revoked: %v", err)
	}
	if err := chain.Verify(time.Now(), list(a.CA, chain[0].Serial)); err != nil {
		t.Errorf("revoked by who did not issue it: %v", err)
	}
	if _, err := ParseRevocationValue(a.Announcement); err == nil {
		t.Error("an announcement passed as a revocation list")
	}
}

// The account's key is nobody's here: whatever a list says, its devices are not revoked.
func FuzzParseRevocation(f *testing.F) {
	chain, stranger := capturedChain(f), account(f).Master
	issuer, err := stranger.Chain[0].X509()
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: capturedNow, NextUpdate: capturedNow.Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: chain[0].Serial, RevocationTime: capturedNow}},
	}, issuer, stranger.Key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add(bytes.Replace(der, issuer.RawSubject, chain[1].RawSubject, 1))
	f.Fuzz(func(t *testing.T, der []byte) {
		l, err := ParseRevocationValue(&value.Value{Data: msgpack.AppendBytes(nil, der)})
		if err == nil && l.Revokes(chain[0], chain[1]) {
			t.Fatal("a stranger revokes a device")
		}
	})
}
