package stunguard

import (
	"encoding/binary"
	"testing"

	"github.com/pion/ice/v2"
	"github.com/pion/stun"
	"github.com/stretchr/testify/require"
)

// message makes a Binding success response of attributes as they are.
func message(attrs ...byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{1, 1}, uint16(len(attrs)))
	b = append(b, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	return append(b, attrs...)
}

func build(t testing.TB, set ...stun.Setter) []byte {
	t.Helper()
	m, err := stun.Build(set...)
	require.NoError(t, err)
	return m.Raw
}

func TestWellFormed(t *testing.T) {
	check := build(t, stun.TransactionID, stun.BindingRequest, stun.NewUsername("here:there"), ice.PriorityAttr(7), ice.UseCandidate(),
		ice.AttrControl{Role: ice.Controlling, Tiebreaker: 9}, stun.NewShortTermIntegrity("secret"), stun.Fingerprint)
	answer := build(t, stun.TransactionID, stun.BindingSuccess, &stun.XORMappedAddress{IP: []byte{192, 0, 2, 1}, Port: 9}, stun.Fingerprint)
	answer6 := build(t, stun.TransactionID, stun.BindingSuccess, &stun.XORMappedAddress{IP: make([]byte, 15, 16)[:16], Port: 9}, stun.Fingerprint)
	refusal := build(t, stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassErrorResponse), stun.CodeUnauthorized,
		stun.NewRealm("example.org"), stun.NewNonce("n"), stun.NewSoftware("server"))
	for name, b := range map[string][]byte{
		"nothing": nil, "RTP": append([]byte{0x80, 111, 0, 1}, make([]byte, 200)...), "DTLS": append([]byte{22, 254, 255}, make([]byte, 60)...),
		"a check": check, "an answer": answer, "an answer of IPv6": answer6, "a refusal": refusal, "an empty message": message(),
		"an attribute that nobody knows": message(0x80, 0xff, 0, 1, 7, 0, 0, 0),
		"ChannelData":                    append([]byte{0x40, 0, 0, byte(len(check))}, check...),
		"DATA":                           message(append([]byte{0, 0x13, 0, byte(len(check))}, check...)...),
	} {
		require.True(t, WellFormed(b), name)
	}
	empty := message(0, 0x20, 0, 0)
	for name, b := range map[string][]byte{
		"an empty XOR-MAPPED-ADDRESS":     empty,
		"that of old servers":             message(0x80, 0x20, 0, 0),
		"an empty XOR-PEER-ADDRESS":       message(0, 0x12, 0, 0),
		"one of one byte":                 message(0, 0x16, 0, 1, 0, 0, 0, 0),
		"IPv4 that says IPv6":             message(0, 0x20, 0, 8, 0, 2, 0, 0, 0, 0, 0, 0),
		"a family that is none":           message(0, 0x20, 0, 8, 0, 3, 0, 0, 0, 0, 0, 0),
		"longer than it says":             append(message(), 0, 0, 0, 0),
		"shorter than it says":            check[:len(check)-4],
		"an attribute over the end":       message(0x80, 0xff, 0, 8, 0, 0, 0, 0),
		"padding that is not there":       message(0x80, 0xff, 0, 3, 0, 0, 0),
		"half an attribute":               message(0x80, 0xff),
		"a short priority":                message(0, 0x24, 0, 2, 0, 0, 0, 0),
		"the cookie of STUN, and not its": append([]byte{0x80, 96, 0, 4}, empty[4:]...),
		"in ChannelData":                  append([]byte{0x40, 0, 0, byte(len(empty))}, empty...),
		"in DATA":                         message(append([]byte{0, 0x13, 0, byte(len(empty))}, empty...)...),
	} {
		require.False(t, WellFormed(b), name)
	}
}

// What passes makes none of pion's readers panic, in a buffer that ends where the message does.
func FuzzWellFormed(f *testing.F) {
	f.Add(message())
	f.Add(message(0, 0x20, 0, 0))
	f.Add(message(0, 0x13, 0, 0))
	f.Add(build(f, stun.TransactionID, stun.BindingRequest, stun.NewUsername("here:there"), ice.PriorityAttr(7),
		ice.AttrControl{Role: ice.Controlled, Tiebreaker: 9}, stun.NewShortTermIntegrity("secret"), stun.Fingerprint))
	f.Add(build(f, stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassErrorResponse), stun.CodeUnauthorized,
		stun.NewRealm("example.org"), stun.NewNonce("n"), stun.NewSoftware("server")))
	f.Add(build(f, stun.TransactionID, stun.BindingSuccess, &stun.XORMappedAddress{IP: []byte{192, 0, 2, 1}, Port: 9}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if !WellFormed(b) || !stun.IsMessage(b) {
			return
		}
		m := &stun.Message{Raw: append(make([]byte, 0, len(b)), b...)}
		if err := m.Decode(); err != nil {
			t.Fatalf("passed, and pion does not take it: %v", err)
		}
		read(m)
	})
}

// read calls all that pion reads of a message in pion/stun, pion/ice and, by the same readers of addresses,
// pion/turn. What it says does not matter.
func read(m *stun.Message) {
	for _, t := range []stun.AttrType{stun.AttrXORMappedAddress, stun.AttrXORPeerAddress, stun.AttrXORRelayedAddress} {
		_ = new(stun.XORMappedAddress).GetFromAs(m, t)
	}
	_ = stun.Fingerprint.Check(m)
	_ = stun.NewShortTermIntegrity("secret").Check(m)
	for _, g := range []stun.Getter{
		new(stun.MappedAddress), new(stun.AlternateServer), new(stun.OtherAddress), new(stun.ResponseOrigin), new(stun.XORMappedAddress),
		new(stun.ErrorCodeAttribute), new(stun.Username), new(stun.Realm), new(stun.Software), new(stun.Nonce), new(stun.UnknownAttributes),
		new(ice.PriorityAttr), new(ice.AttrControl), new(ice.AttrControlled), new(ice.AttrControlling),
	} {
		_ = g.GetFrom(m)
	}
	_ = m.String()
}
