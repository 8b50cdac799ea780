package wire

import (
	"encoding/binary"
	"net/netip"

	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
)

// entries counts the pairs of a map while they are written; the header is written last, in front.
type entries struct {
	b     []byte
	count int
}

// MaxEntries is below 16, so a map header always is the one byte reserved here.
func newEntries(b []byte) (entries, int) { return entries{b: append(b, 0)}, len(b) }

func (e *entries) close(at int) []byte {
	e.b[at] = 0x80 | byte(e.count)
	return e.b
}

func (e *entries) name(key string) {
	e.count++
	e.b = msgpack.AppendString(e.b, key)
}

func (e *entries) uint(key string, u uint64) { e.name(key); e.b = msgpack.AppendUint(e.b, u) }
func (e *entries) str(key, s string)         { e.name(key); e.b = msgpack.AppendString(e.b, s) }
func (e *entries) bin(key string, p []byte)  { e.name(key); e.b = msgpack.AppendBytes(e.b, p) }

func (e *entries) ids(key string, ids []uint64) {
	e.name(key)
	e.b = msgpack.AppendArray(e.b, len(ids))
	for _, id := range ids {
		e.b = msgpack.AppendUint(e.b, id)
	}
}

// Append appends the datagram m. The order of fields is the reference's.
func (m *Message) Append(b []byte) []byte {
	top, at := newEntries(b)
	switch m.Kind {
	case Fragments:
		return m.appendFragments(&top, at)
	case Error:
		top.name("e")
		top.b = msgpack.AppendArray(top.b, 2)
		top.b = msgpack.AppendUint(top.b, uint64(m.Code))
		top.b = msgpack.AppendString(top.b, m.Text)
		top.name("r")
		r, at := newEntries(top.b)
		r.bin("id", m.ID[:])
		top.b = r.close(at)
	case Reply:
		top.name("r")
		top.b = m.appendResults(top.b)
	default:
		top.name("a")
		top.b = m.appendArguments(top.b)
	}
	// The reference writes the updates that only name ids in another order than everything else.
	shortUpdate := m.Kind == Request && m.Method == Update && len(m.Values) == 0
	if m.Kind == Request && !shortUpdate {
		top.str("q", string(m.Method))
	}
	if !shortUpdate {
		top.uint("t", uint64(m.TID))
	}
	top.str("y", map[Kind]string{Request: "q", Reply: "r", Error: "e"}[m.Kind])
	top.str("v", agent)
	if shortUpdate {
		top.str("q", string(m.Method))
		top.uint("t", uint64(m.TID))
	}
	if m.Network != 0 {
		top.uint("n", uint64(m.Network))
	}
	if m.Client {
		top.name("s")
		top.b = msgpack.AppendBool(top.b, true)
	}
	return top.close(at)
}

func (m *Message) appendFragments(top *entries, at int) []byte {
	if m.Network != 0 {
		top.uint("n", uint64(m.Network))
	}
	top.str("y", "p")
	top.uint("t", uint64(m.TID))
	top.name("p")
	top.b = msgpack.AppendMap(top.b, len(m.Fragments))
	for _, f := range m.Fragments {
		top.b = msgpack.AppendUint(top.b, uint64(f.Index))
		part, at := newEntries(top.b)
		part.uint("o", uint64(f.Offset))
		part.bin("d", f.Data)
		top.b = part.close(at)
	}
	return top.close(at)
}

func (m *Message) appendArguments(b []byte) []byte {
	a, at := newEntries(b)
	a.bin("id", m.ID[:])
	switch m.Method {
	case Find:
		a.bin("target", m.Target[:])
		m.appendWant(&a)
	case Get:
		a.bin("h", m.Target[:])
		m.appendQuery(&a)
		m.appendWant(&a)
	case Put:
		a.bin("h", m.Target[:])
		m.appendValues(&a)
		m.appendCreated(&a)
		a.bin("token", m.Token)
	case Refresh:
		a.bin("h", m.Target[:])
		a.uint("vid", m.ValueID)
		a.bin("token", m.Token)
	case Listen:
		a.uint("ve", uint64(m.Version))
		a.bin("h", m.Target[:])
		a.bin("token", m.Token)
		a.uint("sid", uint64(m.SocketID))
		m.appendQuery(&a)
	case Update:
		if len(m.Values) > 0 {
			a.uint("ve", uint64(m.Version))
			a.bin("h", m.Target[:])
			a.uint("sid", uint64(m.SocketID))
			m.appendValues(&a)
			m.appendCreated(&a)
			a.bin("token", m.Token)
			break
		}
		a.uint("sid", uint64(m.SocketID))
		a.bin("token", m.Token)
		if len(m.Refreshed) > 0 {
			a.ids("re", m.Refreshed)
		}
		if len(m.Expired) > 0 {
			a.ids("exp", m.Expired)
		}
	}
	return a.close(at)
}

func (m *Message) appendResults(b []byte) []byte {
	r, at := newEntries(b)
	r.bin("id", m.ID[:])
	if m.ValueID != 0 {
		r.uint("vid", m.ValueID)
	}
	if m.SeenAt.IsValid() {
		r.bin("sa", m.SeenAt.AsSlice())
	}
	if len(m.Nodes4) > 0 {
		r.bin("n4", appendNodes(nil, m.Nodes4))
	}
	if len(m.Nodes6) > 0 {
		r.bin("n6", appendNodes(nil, m.Nodes6))
	}
	if len(m.Token) > 0 {
		r.bin("token", m.Token)
	}
	if len(m.Values) > 0 {
		m.appendValues(&r)
	}
	if m.Rows != nil {
		r.name("fileds") // sic: the reference spells it so
		r.b = m.Rows.append(r.b)
	}
	return r.close(at)
}

func (m *Message) appendWant(e *entries) {
	if m.Want == 0 {
		return
	}
	e.name("w")
	var codes []uint64
	if m.Want&IPv4 != 0 {
		codes = append(codes, afINET)
	}
	if m.Want&IPv6 != 0 {
		codes = append(codes, afINET6)
	}
	e.b = msgpack.AppendArray(e.b, len(codes))
	for _, c := range codes {
		e.b = msgpack.AppendUint(e.b, c)
	}
}

// Linux's address family numbers, which the reference sends as they are.
const (
	afINET  = 2
	afINET6 = 10
)

func (m *Message) appendCreated(e *entries) {
	if m.Created != 0 {
		e.name("c")
		e.b = msgpack.AppendInt(e.b, m.Created)
	}
}

func (m *Message) appendValues(e *entries) {
	e.name("values")
	e.b = msgpack.AppendArray(e.b, len(m.Values))
	for _, v := range m.Values {
		if v.Packed != nil {
			e.b = append(e.b, v.Packed...)
		} else {
			e.b = msgpack.AppendUint(e.b, uint64(v.Size))
		}
	}
}

func (m *Message) appendQuery(e *entries) {
	if m.Query == nil {
		return
	}
	e.name("q")
	q, at := newEntries(e.b)
	q.name("s")
	q.b = msgpack.AppendArray(q.b, len(m.Query.Select))
	for _, f := range m.Query.Select {
		q.b = msgpack.AppendUint(q.b, uint64(f))
	}
	q.name("w")
	q.b = msgpack.AppendArray(q.b, len(m.Query.Where))
	for _, c := range m.Query.Where {
		w, at := newEntries(q.b)
		w.uint("f", uint64(c.Field))
		w.name("v")
		switch c.Field {
		case FieldOwner, FieldUserType:
			w.b = msgpack.AppendBytes(w.b, c.Blob)
		default:
			w.b = msgpack.AppendUint(w.b, c.Int)
		}
		q.b = w.close(at)
	}
	e.b = q.close(at)
}

func (r *Rows) append(b []byte) []byte {
	e, at := newEntries(b)
	e.name("f")
	e.b = msgpack.AppendArray(e.b, len(r.Fields))
	for _, f := range r.Fields {
		e.b = msgpack.AppendUint(e.b, uint64(f))
	}
	e.name("v")
	e.b = msgpack.AppendArray(e.b, len(r.Fields)*len(r.Rows))
	for _, row := range r.Rows {
		for _, cell := range row {
			switch cell.Field {
			case FieldOwner:
				e.b = msgpack.AppendBytes(e.b, cell.Blob)
			case FieldUserType:
				e.b = msgpack.AppendString(e.b, string(cell.Blob))
			default:
				e.b = msgpack.AppendUint(e.b, cell.Int)
			}
		}
	}
	return e.close(at)
}

func appendNodes(b []byte, nodes []Node) []byte {
	for _, n := range nodes {
		b = append(b, n.ID[:]...)
		b = append(b, n.Addr.Addr().AsSlice()...)
		b = binary.BigEndian.AppendUint16(b, n.Addr.Port())
	}
	return b
}

// readNodes reads a list whose addresses have addrLen bytes.
func readNodes(p []byte, addrLen int) ([]Node, bool) {
	size := value.KeyLen + addrLen + 2
	if len(p)%size != 0 {
		return nil, false
	}
	nodes := make([]Node, 0, min(len(p)/size, maxNodes))
	for ; len(p) > 0 && len(nodes) < maxNodes; p = p[size:] {
		addr, _ := netip.AddrFromSlice(p[value.KeyLen : value.KeyLen+addrLen])
		nodes = append(nodes, Node{
			ID:   value.Key(p[:value.KeyLen]),
			Addr: netip.AddrPortFrom(addr, binary.BigEndian.Uint16(p[size-2:])),
		})
	}
	return nodes, true
}
