package dht

import (
	"encoding/binary"
	"net/netip"

	"rendezvous/dht/identity"
	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
)

// mayReplace reports whether next may take the place of old, which has the same id at the same key. next passed
// mayStore.
func mayReplace(old, next *value.Value) bool {
	if old.Type != next.Type {
		return false
	}
	switch old.Type {
	case value.Certificate:
		return true // both are the certificate of the key they are stored at
	case value.IPService:
		return false
	default:
		return old.IsSigned() && next.IsSigned() && old.Owner.Equal(next.Owner) && next.Seq > old.Seq
	}
}

// mayStore reports whether the content of a value allows to keep it at key. It checks signatures and certificates, which
// takes up to a millisecond: call it outside of the engine's goroutine when needsWork says so. An IP service is rewritten
// to the address it came from.
func mayStore(key Key, v *value.Value, from netip.Addr) bool {
	if v.ID == 0 || v.Size() > value.MaxSize {
		return false
	}
	if v.IsEncrypted() {
		return true
	}
	switch v.Type {
	case value.Message:
		r := msgpack.NewReader(v.Data)
		if r.Array() > 0 && len(r.Str()) == 0 && r.Err() == nil {
			return false // names no service
		}
	case value.IPService:
		return rewriteService(v, from)
	case value.Certificate:
		chain, err := identity.ParseCertificateValue(v)
		if err != nil {
			return false
		}
		return chain[0].ID() == key || chain[0].LongID().Key() == key
	}
	return v.Check() == nil
}

// needsWork reports whether mayStore takes long for a value.
func needsWork(v *value.Value) bool { return v.IsSigned() || v.Type == value.Certificate }

// Linux's sockaddr_in and sockaddr_in6, which an IP service announcement consists of.
const (
	sockaddr4Len = 16
	sockaddr6Len = 28
)

// rewriteService puts the sender's address into an IP service announcement, whose port stays. Nobody can announce a
// service elsewhere.
func rewriteService(v *value.Value, from netip.Addr) bool {
	r := msgpack.NewReader(v.Data)
	sockaddr := r.Bytes()
	if r.Err() != nil || len(sockaddr) < 4 || !from.IsValid() {
		return false
	}
	port := sockaddr[2:4]
	if binary.BigEndian.Uint16(port) == 0 {
		return false
	}
	var out []byte
	if from.Is4() {
		out = make([]byte, sockaddr4Len)
		binary.LittleEndian.PutUint16(out, 2)
		copy(out[4:], from.AsSlice())
	} else {
		out = make([]byte, sockaddr6Len)
		binary.LittleEndian.PutUint16(out, 10)
		copy(out[8:], from.AsSlice())
	}
	copy(out[2:4], port)
	*v = value.Value{ID: v.ID, Type: value.IPService, Data: msgpack.AppendBytes(nil, out)}
	return true
}
