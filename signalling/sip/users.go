package sip

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// Bounds of challenges.
const (
	nonceLife  = 30 * time.Second // a phone answers at once, with the password that it has
	nonceCount = 4096             // nonces remembered as used
)

// users are the people who prove who they are by digest authentication (RFC 3261 §22). A
// caller whose address names one of them is challenged; everybody else comes as a guest,
// whose address proves nothing. Old telephones know MD5 alone, and some give up at the sight
// of another algorithm: it is the only one offered. Over UDP and TCP a listener can try
// passwords at leisure; TLS keeps listeners out.
type users struct {
	realm     string
	passwords map[string]string // by name, lower case
	secret    [32]byte          // makes nonces
	began     time.Time         // they are dated from then

	mu   sync.Mutex           // guards used
	used map[string]time.Time // nonces that have been answered rightly
}

func newUsers(realm string, passwords map[string]string) *users {
	u := &users{realm: realm, passwords: make(map[string]string), began: time.Now(), used: make(map[string]time.Time)}
	for name, password := range passwords {
		u.passwords[strings.ToLower(name)] = password
	}
	_, _ = rand.Read(u.secret[:])
	return u
}

// nonce is a time and its seal, so that nothing is kept of callers who never answer.
func (u *users) nonce(now time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(now.Sub(u.began)))
	return base64.RawURLEncoding.EncodeToString(append(b, u.seal(b)...))
}

func (u *users) seal(b []byte) []byte {
	h := hmac.New(sha256.New, u.secret[:])
	h.Write(b)
	return h.Sum(nil)[:16]
}

// fresh reports whether a nonce is ours and not too old.
func (u *users) fresh(nonce string, now time.Time) bool {
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(b) != 24 || !hmac.Equal(b[8:], u.seal(b[:8])) {
		return false
	}
	age := now.Sub(u.began) - time.Duration(binary.BigEndian.Uint64(b))
	return age >= 0 && age < nonceLife
}

// spend takes a nonce that was answered rightly; each is good for one call, so that a listener
// cannot repeat what they have heard.
func (u *users) spend(nonce string, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, spent := u.used[nonce]; spent {
		return false
	}
	if len(u.used) >= nonceCount {
		for n, t := range u.used {
			if now.Sub(t) >= nonceLife {
				delete(u.used, n)
			}
		}
	}
	if len(u.used) >= nonceCount {
		return false // so many real calls in so short a time: they are asked again
	}
	u.used[nonce] = now
	return true
}

// identify returns the user a request comes from, proven; "" for a guest. A fault is the
// challenge, or its repetition.
func (u *users) identify(req *sip.Request, host bool, now time.Time) (string, *fault) {
	name := strings.ToLower(req.From().Address.User)
	password, known := u.passwords[name]
	if !known || !host {
		return "", nil
	}
	stale := false
	for _, h := range req.GetHeaders("Authorization") {
		c, err := digest.ParseCredentials(h.Value())
		if err != nil || c.Realm != u.realm || !strings.EqualFold(c.Username, name) {
			continue
		}
		if !u.fresh(c.Nonce, now) {
			stale = true
			continue
		}
		if !u.right(req, c, password) {
			return "", &fault{code: 403, text: "Forbidden", reason: "credentials"}
		}
		if !u.spend(c.Nonce, now) {
			stale = true
			continue
		}
		return name, nil
	}
	challenge := digest.Challenge{Realm: u.realm, Nonce: u.nonce(now), Algorithm: "MD5", QOP: []string{"auth"}, Stale: stale}
	return "", &fault{code: 401, text: "Unauthorized", reason: "challenged",
		headers: []sip.Header{sip.NewHeader("WWW-Authenticate", challenge.String())}}
}

// right checks an answer to a challenge of ours.
func (u *users) right(req *sip.Request, c *digest.Credentials, password string) bool {
	var asked sip.Uri
	if c.QOP != "auth" || sip.ParseUri(c.URI, &asked) != nil || asked.User != req.Recipient.User {
		return false // of another call
	}
	want, err := digest.Digest(&digest.Challenge{Realm: u.realm, Nonce: c.Nonce, Algorithm: "MD5", QOP: []string{"auth"}}, digest.Options{
		Method: string(req.Method), URI: c.URI, Cnonce: c.Cnonce, Count: c.Nc, Username: c.Username, Password: password,
	})
	return err == nil && subtle.ConstantTimeCompare([]byte(want.Response), []byte(c.Response)) == 1
}
