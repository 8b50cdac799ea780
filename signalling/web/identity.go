package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"rendezvous/conference"
	"rendezvous/moderation"
)

// A browser is known again by a random cookie, so that a ban or a hand raised holds
// when its person comes back under another name.
const (
	deviceCookie = "rendezvous_device"
	deviceAge    = 400 * 24 * time.Hour // the longest that browsers keep one
)

// withDevice sees to it that the browser has its cookie before its page asks to join.
func (d *Door) withDevice(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := deviceOf(r)
		if id == "" {
			id = secret()
		}
		c := &http.Cookie{
			Name: deviceCookie, Value: id, Path: "/", MaxAge: int(deviceAge.Seconds()),
			HttpOnly: true, Secure: strings.HasPrefix(d.base, "https:"), SameSite: http.SameSiteLaxMode,
		}
		if len(d.cfg.Embed) > 0 && r.Header.Get("Sec-Fetch-Dest") == "iframe" && d.keepsSecrets() {
			// In a frame of another site a browser keeps only what says so, and for frames in that site alone (RFC 6265bis, CHIPS).
			c.Secure, c.SameSite, c.Partitioned = true, http.SameSiteNoneMode, true
		}
		http.SetCookie(w, c)
		next.ServeHTTP(w, r)
	})
}

// keepsSecrets reports whether browsers take a Secure cookie from the page's address: by https, or of their own machine.
func (d *Door) keepsSecrets() bool {
	u, err := url.Parse(d.base)
	return err == nil && (u.Scheme == "https" || isLoopback(u.Hostname()))
}

// deviceOf returns the browser's device secret, "" if it has none.
func deviceOf(r *http.Request) string {
	c, err := r.Cookie(deviceCookie)
	if err != nil || len(c.Value) != 32 {
		return ""
	}
	if _, err := hex.DecodeString(c.Value); err != nil {
		return ""
	}
	return c.Value
}

// identityOf is what bans and roles go by, and whether it is proven: the cookie is a
// secret that only its browser knows. It stays one: whoever knew it could pass for its owner.
func (d *Door) identityOf(r *http.Request) (identity string, proven bool) {
	if id := deviceOf(r); id != "" {
		sum := sha256.Sum256([]byte(id))
		return "web:" + hex.EncodeToString(sum[:8]), true
	}
	return "web:ip-" + d.clientIP(r).String(), false
}

// secret returns 128 random bits as text.
func secret() string {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // it never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// clientIP is the address of whoever is asking, past the proxies that we trust.
func (d *Door) clientIP(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	ip = ip.Unmap().WithZone("")
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && d.trusted(ip); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		ip = next.Unmap().WithZone("")
	}
	return ip
}

func (d *Door) trusted(ip netip.Addr) bool {
	for _, p := range d.cfg.TrustedProxies {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// JoinToken is what a signed join token says: a JSON Web Token (RFC 7519) with HS256.
type JoinToken struct {
	Subject string `json:"sub"`            // the identity becomes "web:SUBJECT", proven
	Name    string `json:"name,omitempty"` // display name, before what the person types
	Room    string `json:"room,omitempty"` // only this room; empty: any
	Role    string `json:"role,omitempty"` // given to them there; empty: the room's default. Either way they need no PIN
	Expires int64  `json:"exp"`            // Unix seconds
	Link    string `json:"link,omitempty"` // of links.Book, which can revoke it; empty: made elsewhere, good until it expires
}

var errToken = errors.New("the join token is not valid")

// errSpent is of a token that was good: nobody has guessed.
var errSpent error = &conference.Refusal{Code: refusedToken, Text: "This link has expired or was revoked. Please ask for another one."}

// Sign makes the text that a link carries: a compact JWS (RFC 7515) with HMAC-SHA256 under key.
func (t JoinToken) Sign(key []byte) string {
	body, _ := json.Marshal(t) // strings and a number: it cannot fail
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(body)
	return text + "." + encode(mac(key, text))
}

// parseJoinToken checks a token's signature, algorithm, room and time.
func parseJoinToken(key []byte, text, room string, now time.Time) (JoinToken, error) {
	var t JoinToken
	if len(key) == 0 {
		return t, fmt.Errorf("%w: this host takes none", errToken)
	}
	signed, sig, ok := cutLast(text, ".")
	head, body, two := strings.Cut(signed, ".")
	if !ok || !two || len(text) > 4096 {
		return t, fmt.Errorf("%w: it has not three parts", errToken)
	}
	got, err := base64.RawURLEncoding.DecodeString(sig)
	if err != nil || !hmac.Equal(got, mac(key, signed)) {
		return t, fmt.Errorf("%w: wrong signature", errToken)
	}
	var header struct {
		Alg string `json:"alg"`
	}
	if err := decodePart(head, &header); err != nil || header.Alg != "HS256" {
		return t, fmt.Errorf("%w: its algorithm is not HS256", errToken)
	}
	if err := decodePart(body, &t); err != nil {
		return t, fmt.Errorf("%w: %w", errToken, err)
	}
	switch {
	case t.Subject == "" || len(t.Subject) > 128:
		return t, fmt.Errorf("%w: no subject", errToken)
	case t.Room != "" && t.Room != room:
		return t, fmt.Errorf("%w: it is for another room", errToken)
	case now.Unix() >= t.Expires:
		return t, errSpent
	}
	if t.Role != "" {
		if _, err := moderation.ParseRole(t.Role); err != nil {
			return t, fmt.Errorf("%w: %w", errToken, err)
		}
	}
	return t, nil
}

// grant is the role that the token gives in a room.
func (t JoinToken) grant(room *conference.Room) *moderation.Role {
	role, err := moderation.ParseRole(t.Role)
	if err != nil {
		role = room.Settings().Roles.Default
	}
	return &role
}

func decodePart(s string, v any) error {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
