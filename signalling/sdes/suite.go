package sdes

// Suite is an SRTP crypto suite as a=crypto names it.
type Suite string

// The suites (RFC 4568 §6.2, RFC 7714 §14.2).
const (
	AES128GCM  Suite = "AEAD_AES_128_GCM"
	AES256GCM  Suite = "AEAD_AES_256_GCM"
	AES128CM80 Suite = "AES_CM_128_HMAC_SHA1_80"
	AES128CM32 Suite = "AES_CM_128_HMAC_SHA1_32"
)

// size is how long a suite's master key and master salt are, in bytes.
type size struct{ key, salt int }

// sizes are the suites that are known.
var sizes = map[Suite]size{
	AES128GCM:  {16, 12},
	AES256GCM:  {32, 12},
	AES128CM80: {16, 14},
	AES128CM32: {16, 14},
}
