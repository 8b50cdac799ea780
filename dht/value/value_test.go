package value

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
)

// vectors are the values, and the key they were made with, that OpenDHT 2.4.12 wrote.
type vectors struct {
	key               *rsa.PrivateKey
	certificate       []byte
	signed, encrypted []byte
	plaintext         []byte
	id, longID        string
}

func loadVectors(t testing.TB) vectors {
	t.Helper()
	text, err := os.ReadFile("testdata/dht-crypto.txt")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	var packed [][]byte
	for _, m := range regexp.MustCompile(`VALUE at [0-9a-f]{40} len \d+\n([0-9a-f]+)\n`).FindAllSubmatch(text, -1) {
		b, err := hex.DecodeString(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		packed = append(packed, b)
	}
	plain := regexp.MustCompile(`plaintext \d+ ([0-9a-f]+)`).FindSubmatch(text)
	plaintext, err := hex.DecodeString(string(plain[1]))
	if err != nil || len(packed) != 3 {
		t.Fatalf("%d values, %v", len(packed), err)
	}
	return vectors{
		key: parsed.(*rsa.PrivateKey), certificate: packed[0], signed: packed[1], encrypted: packed[2], plaintext: plaintext,
		id:     "93cd98612d385e7d4d25c515b0455046b3cebf53",
		longID: "92cbc9dc308eb9bed7a7f2dce695ffc09586d8050e87b9a70102184f47a7dfd5",
	}
}

func unpack(t *testing.T, packed []byte) *Value {
	t.Helper()
	v, err := Unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestReferenceSigned(t *testing.T) {
	vec := loadVectors(t)
	v := unpack(t, vec.signed)
	if v.Owner.ID().String() != vec.id || v.Owner.LongID().String() != vec.longID {
		t.Errorf("ids %s and %s", v.Owner.ID(), v.Owner.LongID())
	}
	if string(v.Data) != "signed-data" || v.UserType != "text/plain" || v.ID != 16807448095411753025 || v.Seq != 0 {
		t.Errorf("value %+v", v)
	}
	if err := v.Check(); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(v.Pack(), vec.signed) {
		t.Errorf("packed again: %x", v.Pack())
	}
	// PKCS #1 v1.5 signatures are deterministic: ours over the same content is the reference's.
	again := &Value{ID: v.ID, Data: v.Data, UserType: v.UserType}
	if err := again.Sign(vec.key); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Pack(), vec.signed) {
		t.Error("the same content signed by the same key gives other bytes than the reference's")
	}
}

func TestTamperedSignature(t *testing.T) {
	vec := loadVectors(t)
	for name, change := range map[string]func(*Value){
		"data":      func(v *Value) { v.Data[0] ^= 1 },
		"type":      func(v *Value) { v.Type = TrustRequest },
		"user type": func(v *Value) { v.UserType = "text/html" },
		"sequence":  func(v *Value) { v.Seq++ },
		"recipient": func(v *Value) { v.To = RandomKey() },
		"signature": func(v *Value) { v.Signature[9] ^= 1 },
	} {
		v := unpack(t, vec.signed)
		change(v)
		if err := v.Check(); !errors.Is(err, ErrSignature) {
			t.Errorf("%s changed: %v", name, err)
		}
	}
	v := unpack(t, vec.signed)
	v.ID++ // not covered
	if err := v.Check(); err != nil {
		t.Errorf("id changed: %v", err)
	}
}

func TestReferenceEncrypted(t *testing.T) {
	vec := loadVectors(t)
	v := unpack(t, vec.encrypted)
	if !v.IsEncrypted() || v.IsSigned() || !bytes.Equal(v.Pack(), vec.encrypted) {
		t.Errorf("encrypted value read as %+v", v)
	}
	inner, err := v.Decrypt(vec.key)
	if err != nil {
		t.Fatal(err)
	}
	if string(inner.Data) != "encrypted-data" || inner.To.String() != vec.id || inner.ID != v.ID {
		t.Errorf("decrypted %+v", inner)
	}
	if !bytes.Equal(inner.appendSigned(nil), vec.plaintext) {
		t.Error("the plaintext packs into other bytes than the reference's")
	}
}

func TestReferenceCertificate(t *testing.T) {
	vec := loadVectors(t)
	v := unpack(t, vec.certificate)
	if v.Type != Certificate || v.ID != 1 || !bytes.HasPrefix(v.Data[3:], []byte("-----BEGIN CERTIFICATE-----")) {
		t.Errorf("certificate value %+v", v)
	}
	if !bytes.Equal(v.Pack(), vec.certificate) {
		t.Error("packs into other bytes")
	}
}

func TestEncryptRoundTrip(t *testing.T) {
	vec := loadVectors(t)
	pub, err := NewPublicKey(&vec.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(nil, 2048)
	if err != nil {
		t.Fatal(err)
	}
	v := &Value{ID: 5, Type: TrustRequest, Data: []byte("to you only"), UserType: "x"}
	sealed, err := v.Encrypt(other, pub)
	if err != nil {
		t.Fatal(err)
	}
	if v.Owner != nil || !v.To.IsZero() {
		t.Error("encrypting changed the value")
	}
	if sealed.ID != 5 || sealed.Type != UserData || len(sealed.Data) != 0 {
		t.Errorf("sealed value shows %+v", sealed)
	}
	inner, err := unpack(t, sealed.Pack()).Decrypt(vec.key)
	if err != nil {
		t.Fatal(err)
	}
	if string(inner.Data) != "to you only" || inner.Type != TrustRequest || inner.To != pub.ID() {
		t.Errorf("decrypted %+v", inner)
	}
	if _, err := sealed.Decrypt(other); !errors.Is(err, ErrDecrypt) {
		t.Errorf("with another key: %v", err)
	}
	for i := range sealed.Cipher {
		if i%37 != 0 {
			continue
		}
		broken := sealed.Clone()
		broken.Cipher[i] ^= 0x10
		if _, err := broken.Decrypt(vec.key); err == nil {
			t.Errorf("byte %d changed, still decrypted", i)
		}
	}
}

// A value encrypted to somebody else, opened and sealed again for us by that somebody, is not for us.
func TestForwardedSecret(t *testing.T) {
	vec := loadVectors(t)
	other, err := rsa.GenerateKey(nil, 2048)
	if err != nil {
		t.Fatal(err)
	}
	mine, err := NewPublicKey(&vec.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	v := &Value{ID: 5, Data: []byte("for the other"), To: RandomKey()}
	if err := v.Sign(other); err != nil {
		t.Fatal(err)
	}
	cipher, err := seal(mine.RSA(), v.appendSigned(nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&Value{ID: 5, Cipher: cipher}).Decrypt(vec.key); !errors.Is(err, ErrDecrypt) {
		t.Errorf("decrypted what names another recipient: %v", err)
	}
	unsigned := &Value{ID: 5, Data: []byte("by nobody")}
	if cipher, err = seal(mine.RSA(), unsigned.appendSigned(nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := (&Value{ID: 5, Cipher: cipher}).Decrypt(vec.key); err == nil {
		t.Error("decrypted what nobody signed")
	}
}

func TestUnpackRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no content":         "81a2696405",
		"no id":              "81a3646174c40101",
		"empty cipher":       "82a2696405a3646174c400",
		"no body":            "82a2696405a364617480",
		"no data":            "82a2696405a364617481a4626f647981a47479706500",
		"no type":            "82a2696405a364617481a4626f647981a464617461c40178",
		"type too large":     "82a2696405a364617481a4626f647982a474797065ce00010000a464617461c40178",
		"recipient too long": "82a2696405a364617481a4626f647983a2746fc4150000000000000000000000000000000000000000000a47479706500a464617461c40178",
		"owner is no key":    "82a2696405a364617482a4626f647984a373657100a56f776e6572c40101a47479706500a464617461c40178a3736967c40101",
		"more after it":      "82a2696405a364617481a4626f647982a47479706500a464617461c4017800",
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			b = []byte(text)
		}
		if v, err := Unpack(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	large := &Value{ID: 1, Data: make([]byte, MaxSize+1)}
	if _, err := Unpack(large.Pack()); err == nil {
		t.Error("a value over the limit was read")
	}
}

func TestKeys(t *testing.T) {
	if got := KeyOfText("spec-test").String(); got != "ebb7ebba13d002de1597092103abff4cbb7c5229" {
		t.Errorf("SHA-1 of the text is %s", got)
	}
	a, b := Key{0xf0}, Key{0xf8}
	if a.CommonBits(b) != 4 || a.CommonBits(a) != 160 {
		t.Errorf("common bits %d and %d", a.CommonBits(b), a.CommonBits(a))
	}
	if a.CompareDistance(a, b) >= 0 || (Key{}).CompareDistance(b, a) <= 0 {
		t.Error("distances are ordered wrongly")
	}
	for _, uri := range []string{"jami:" + a.String(), "ring:" + a.String(), "JAMI:" + strings.ToUpper(a.String()), a.String()} {
		if k, err := ParseAccountURI(uri); err != nil || k != a {
			t.Errorf("%s: %s, %v", uri, k, err)
		}
	}
	if _, err := ParseAccountURI("sip:bob@example.org"); err == nil {
		t.Error("a SIP address passed as an account")
	}
}

func FuzzUnpack(f *testing.F) {
	vec := loadVectors(f)
	for _, p := range [][]byte{vec.signed, vec.encrypted, vec.certificate} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		v, err := Unpack(p)
		if err != nil {
			return
		}
		again, err := Unpack(v.Pack())
		if err != nil || !again.Equal(v) {
			t.Fatalf("packed again: %v\n%+v\n%+v", err, v, again)
		}
		v.Check()
	})
}

func FuzzDecrypt(f *testing.F) {
	vec := loadVectors(f)
	f.Add(vec.plaintext)
	f.Fuzz(func(t *testing.T, plain []byte) {
		sealed, err := seal(&vec.key.PublicKey, plain)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := (&Value{ID: 1, Cipher: sealed}).Decrypt(vec.key); err == nil && v.Check() != nil {
			t.Fatal("decrypted a value with a bad signature")
		}
	})
}

func FuzzSealed(f *testing.F) {
	vec := loadVectors(f)
	sealed, err := seal(&vec.key.PublicKey, vec.plaintext)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(make([]byte, vec.key.Size()))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if v, err := (&Value{ID: 1, Cipher: sealed}).Decrypt(vec.key); err == nil && v.Check() != nil {
			t.Fatal("decrypted a value with a bad signature")
		}
	})
}
