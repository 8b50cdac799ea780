package icetcp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/pion/stun"
)

// software is what our checks call themselves.
const software = "rendezvous"

// rawAttr is an attribute given by its type and bytes.
type rawAttr struct {
	typ   stun.AttrType
	value []byte
}

func (a rawAttr) AddTo(m *stun.Message) error { m.Add(a.typ, a.value); return nil }

func uint32Attr(t stun.AttrType, v uint32) rawAttr {
	return rawAttr{t, binary.BigEndian.AppendUint32(nil, v)}
}

func roleAttr(controlling bool, tieBreaker uint64) rawAttr {
	t := stun.AttrICEControlled
	if controlling {
		t = stun.AttrICEControlling
	}
	return rawAttr{t, binary.BigEndian.AppendUint64(nil, tieBreaker)}
}

// check describes a Binding request of ours.
type check struct {
	local, remote Description
	controlling   bool
	tieBreaker    uint64
	priority      uint32 // the PRIORITY attribute
	useCandidate  bool
}

// build makes the request and a fresh transaction id (RFC 5245 section 7.1.2).
func (c check) build() (*stun.Message, error) {
	set := []stun.Setter{
		stun.TransactionID, stun.BindingRequest,
		uint32Attr(stun.AttrPriority, c.priority),
	}
	if c.useCandidate {
		set = append(set, rawAttr{stun.AttrUseCandidate, nil})
	}
	set = append(set,
		roleAttr(c.controlling, c.tieBreaker),
		stun.NewSoftware(software),
		stun.NewUsername(c.remote.Ufrag+":"+c.local.Ufrag),
		stun.NewShortTermIntegrity(c.remote.Password),
		stun.Fingerprint,
	)
	return stun.Build(set...)
}

// buildSuccess answers req, which came from the given address.
func buildSuccess(req *stun.Message, from netip.AddrPort, localPassword string) (*stun.Message, error) {
	return stun.Build(
		stun.NewTransactionIDSetter(req.TransactionID), stun.BindingSuccess,
		&stun.XORMappedAddress{IP: net.IP(from.Addr().Unmap().AsSlice()), Port: int(from.Port())},
		stun.NewSoftware(software),
		stun.NewShortTermIntegrity(localPassword),
		stun.Fingerprint,
	)
}

// buildRoleConflict is the 487 answer (RFC 5245 section 7.2.1.1).
func buildRoleConflict(req *stun.Message, localPassword string) (*stun.Message, error) {
	return stun.Build(
		stun.NewTransactionIDSetter(req.TransactionID), stun.BindingError,
		stun.CodeRoleConflict,
		stun.NewSoftware(software),
		stun.NewShortTermIntegrity(localPassword),
		stun.Fingerprint,
	)
}

// buildKeepAlive is the Binding indication that keeps NATs open (RFC 5245
// section 10).
func buildKeepAlive() (*stun.Message, error) {
	return stun.Build(stun.TransactionID, stun.NewType(stun.MethodBinding, stun.ClassIndication), stun.Fingerprint)
}

var (
	errNotSTUN  = errors.New("icetcp: not a STUN message")
	errUsername = errors.New("icetcp: check for somebody else")
)

// decode parses a frame and checks its FINGERPRINT if it has one.
func decode(frame []byte) (*stun.Message, error) {
	if !isSTUN(frame) {
		return nil, errNotSTUN
	}
	m := &stun.Message{Raw: frame}
	if err := m.Decode(); err != nil {
		return nil, fmt.Errorf("icetcp: decoding a STUN message: %w", err)
	}
	if m.Contains(stun.AttrFingerprint) {
		if err := stun.Fingerprint.Check(m); err != nil {
			return nil, fmt.Errorf("icetcp: %w", err)
		}
	}
	return m, nil
}

// addressee returns the ufrag a Binding request is for: the part of USERNAME
// before the colon.
func addressee(m *stun.Message) (string, error) {
	if m.Type != stun.BindingRequest {
		return "", errNotSTUN
	}
	var u stun.Username
	if err := u.GetFrom(m); err != nil {
		return "", errUsername
	}
	to, _, ok := strings.Cut(u.String(), ":")
	if !ok {
		return "", errUsername
	}
	return to, nil
}

// request is what a verified Binding request says.
type request struct {
	priority     uint32
	useCandidate bool
	controlling  bool // the role the peer claims
	hasRole      bool
	tieBreaker   uint64
}

// verifyRequest authenticates a Binding request of the peer and reads it.
// The peer's ufrag is only compared once it is known.
func verifyRequest(m *stun.Message, local, remote Description) (request, error) {
	var r request
	var u stun.Username
	if err := u.GetFrom(m); err != nil {
		return r, errUsername
	}
	to, from, ok := strings.Cut(u.String(), ":")
	if !ok || to != local.Ufrag || (remote.Ufrag != "" && from != remote.Ufrag) {
		return r, errUsername
	}
	if err := stun.NewShortTermIntegrity(local.Password).Check(m); err != nil {
		return r, fmt.Errorf("icetcp: check: %w", err)
	}
	if b, err := m.Get(stun.AttrPriority); err == nil && len(b) == 4 {
		r.priority = binary.BigEndian.Uint32(b)
	}
	r.useCandidate = m.Contains(stun.AttrUseCandidate)
	if b, err := m.Get(stun.AttrICEControlling); err == nil && len(b) == 8 {
		r.hasRole, r.controlling, r.tieBreaker = true, true, binary.BigEndian.Uint64(b)
	} else if b, err := m.Get(stun.AttrICEControlled); err == nil && len(b) == 8 {
		r.hasRole, r.tieBreaker = true, binary.BigEndian.Uint64(b)
	}
	return r, nil
}

// verifyResponse authenticates an answer to a check of ours; code is 0 for a
// success, else the error code.
func verifyResponse(m *stun.Message, remote Description) (code int, err error) {
	if err := stun.NewShortTermIntegrity(remote.Password).Check(m); err != nil {
		return 0, fmt.Errorf("icetcp: answer: %w", err)
	}
	if m.Type.Class == stun.ClassSuccessResponse {
		return 0, nil
	}
	var ec stun.ErrorCodeAttribute
	if err := ec.GetFrom(m); err != nil {
		return 0, fmt.Errorf("icetcp: error answer without code: %w", err)
	}
	return int(ec.Code), nil
}

// askSTUN asks a server over UDP which address it sees us at.
func askSTUN(ctx context.Context, server string) (netip.Addr, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", server)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("icetcp: STUN: %w", err)
	}
	defer conn.Close()
	m, err := stun.Build(stun.TransactionID, stun.BindingRequest)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("icetcp: STUN: %w", err)
	}
	buf := make([]byte, 1500)
	end := time.Now().Add(stunTimeout)
	for try := range 3 { // after 0, 250 and 500 ms: RFC 5389 section 7.2.1, on a short leash
		if _, err = conn.Write(m.Raw); err != nil {
			break
		}
		wait := time.Now().Add(250 * time.Millisecond)
		if try == 2 {
			wait = end
		}
		conn.SetReadDeadline(wait)
		var n int
		if n, err = conn.Read(buf); err != nil {
			continue
		}
		r := &stun.Message{Raw: buf[:n]}
		if err = r.Decode(); err != nil || r.TransactionID != m.TransactionID {
			continue
		}
		var x stun.XORMappedAddress
		if err = x.GetFrom(r); err != nil {
			break
		}
		ip, ok := netip.AddrFromSlice(x.IP)
		if !ok {
			break
		}
		return ip.Unmap(), nil
	}
	return netip.Addr{}, fmt.Errorf("icetcp: STUN: no answer: %w", err)
}
