package sdes

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	key30 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"
	key28 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw=="
	key44 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKis="
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, value string
		want        error
	}{
		{"as jamid and baresip write it", "1 AES_CM_128_HMAC_SHA1_80 inline:" + key30, nil},
		{"a short tag of authentication", "2 AES_CM_128_HMAC_SHA1_32 inline:" + key30, nil},
		{"GCM", "3 AEAD_AES_128_GCM inline:" + key28, nil},
		{"GCM without padding", "3 AEAD_AES_128_GCM inline:" + strings.TrimRight(key28, "="), nil},
		{"GCM of 256 bits without padding", "3 AEAD_AES_256_GCM inline:" + strings.TrimRight(key44, "="), nil},
		{"a lifetime", "1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|2^20", nil},
		{"a lifetime in decimal", "1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|1048576", nil},
		{"a hint of the window", "1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + " WSH=64", nil},
		{"an optional parameter", "1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + " -new=1", nil},
		{"a large tag", "999999999 AES_CM_128_HMAC_SHA1_80 inline:" + key30, nil},

		{"nothing", "", errShort},
		{"no key", "1 AES_CM_128_HMAC_SHA1_80", errShort},
		{"a key as tag", "inline:" + key30 + " AES_CM_128_HMAC_SHA1_80 1", errTag},
		{"a key as suite", "1 inline:" + key30 + " x", errSuite},
		{"a negative tag", "-1 AES_CM_128_HMAC_SHA1_80 inline:" + key30, errTag},
		{"F8", "1 F8_128_HMAC_SHA1_80 inline:" + key30, errSuite},
		{"no encryption of reports", "1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + " UNENCRYPTED_SRTCP", errParameter},
		{"no encryption", "1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + " UNENCRYPTED_SRTP", errParameter},
		{"no authentication", "1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + " WSH=64 UNAUTHENTICATED_SRTP", errParameter},
		{"derivation of keys in between", "1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + " KDR=12", errParameter},
		{"a parameter that nobody knows", "1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + " new=1", errParameter},
		{"an identifier", "1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|2^20|1:4", errMKI},
		{"an identifier alone", "1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|1:4", errMKI},
		{"two keys", "1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|2^20|1:4;inline:" + key30 + "|2^20|2:4", errInline},
		{"two keys, the first without more", "1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|2^20;inline:" + key30, errInline},
		{"another way of exchange", "1 AES_CM_128_HMAC_SHA1_80 uri:https://example.org/", errInline},
		{"a key that is too short", "1 AES_CM_128_HMAC_SHA1_80 inline:" + key28, errKey},
		{"a key that is too long", "1 AES_CM_128_HMAC_SHA1_80 inline:" + key44, errKey},
		{"no base64", "1 AES_CM_128_HMAC_SHA1_80 inline:" + strings.Repeat("!", 40), errKey},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Parse(test.value)
			require.ErrorIs(t, err, test.want)
			require.Equal(t, test.want == nil, c.Present())
			if err != nil {
				return
			}
			key, salt := c.Master()
			require.Equal(t, sizes[c.Suite], size{len(key), len(salt)})
			for i, b := range append(key, salt...) {
				require.EqualValues(t, i, b)
			}
			again, err := Parse(c.Value())
			require.NoError(t, err)
			require.Equal(t, c, again)
		})
	}
}

func TestNewKeys(t *testing.T) {
	for suite := range sizes {
		a, b := New(1, suite), New(1, suite)
		require.False(t, a.Same(b), "a key was made twice")
		read, err := Parse(a.Value())
		require.NoError(t, err)
		require.Equal(t, a, read)
		read.Tag = 2
		require.True(t, a.Same(read), "another tag, but the same key")
	}
	a := New(1, AES128CM80)
	b := a
	b.Suite = AES128CM32
	require.False(t, a.Same(b), "another suite")
}

// Whatever somebody writes into a log or an error, the key is not in it.
func TestKeysAreNotShown(t *testing.T) {
	c, err := Parse("1 AES_CM_128_HMAC_SHA1_80 inline:" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 30))))
	require.NoError(t, err)
	type medium struct {
		Name   string
		Crypto []Crypto
		Remote Crypto
		Other  *Crypto
	}
	m := medium{"audio", []Crypto{c}, c, &c}
	var shown bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&shown, verb, c)
		fmt.Fprintf(&shown, verb, &c)
		fmt.Fprintf(&shown, verb, m)
	}
	slog.New(slog.NewTextHandler(&shown, nil)).Info("text", "crypto", c, "medium", m)
	slog.New(slog.NewJSONHandler(&shown, nil)).Info("json", "crypto", c, "medium", m)
	for _, key := range []string{"kkkk", "a2tr", "6b6b", "6B6B", "107 107"} {
		require.NotContains(t, shown.String(), key)
	}
	require.Contains(t, shown.String(), "1 AES_CM_128_HMAC_SHA1_80")
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30,
		"2 AEAD_AES_256_GCM inline:" + key44 + "|2^20 WSH=64",
		"1 AES_CM_128_HMAC_SHA1_32 inline:" + key30 + "|2^20|1:4;inline:" + key30 + " UNENCRYPTED_SRTCP",
		"1 AEAD_AES_128_GCM inline:" + strings.TrimRight(key28, "=") + " -x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		c, err := Parse(value)
		if c.Present() != (err == nil) {
			t.Fatalf("%v, and a key: %v", err, c.Present())
		}
		if err != nil {
			return
		}
		if key, salt := c.Master(); len(key) != sizes[c.Suite].key || len(salt) != sizes[c.Suite].salt {
			t.Fatalf("a key of %d bytes, a salt of %d", len(key), len(salt))
		}
		if again, err := Parse(c.Value()); err != nil || again != c {
			t.Fatalf("%v is read as %v, %v", c, again, err)
		}
	})
}
