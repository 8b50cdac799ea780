package dht

import (
	"net/netip"
	"time"

	"rendezvous/dht/value"
	"rendezvous/dht/wire"
	"rendezvous/internal/sourcenet"
)

const (
	// Values travel inside a message as long as there are fewer than maxInlineValues of them and they pack into fewer
	// than maxInlineBytes; else each follows in fragments.
	maxInlineValues = 50
	maxInlineBytes  = 600
	fragmentSize    = 1280
	// A fragmented message is given up partialLife after its head, or partialIdle after its last useful fragment.
	partialLife = 10 * time.Second
	partialIdle = 3 * time.Second
	// maxPartialBytes bounds one fragmented message. Answers to get that are larger are asked for value by value.
	maxPartialBytes = 1 << 20
)

// datagrams encodes a message with its values as one datagram, or as one and its fragments.
func (e *engine) datagrams(m *wire.Message, values [][]byte) [][]byte {
	m.ID, m.Network, m.Client = e.id, e.cfg.Network, e.cfg.Client
	total := 0
	for _, v := range values {
		total += len(v)
	}
	whole := len(values) < maxInlineValues && total < maxInlineBytes
	m.Values = make([]wire.ValuePart, len(values))
	for i, v := range values {
		if whole {
			m.Values[i].Packed = v
		} else {
			m.Values[i].Size = len(v)
		}
	}
	out := [][]byte{m.Append(nil)}
	if whole {
		return out
	}
	for i, v := range values {
		for off := 0; off < len(v); off += fragmentSize {
			part := wire.Message{
				Kind: wire.Fragments, TID: m.TID, Network: m.Network,
				Fragments: []wire.Fragment{{Index: i, Offset: off, Data: v[off:min(off+fragmentSize, len(v))]}},
			}
			out = append(out, part.Append(make([]byte, 0, fragmentSize+64)))
		}
	}
	return out
}

// announced returns how many bytes of values are to follow in fragments.
func announced(parts []wire.ValuePart) int {
	n := 0
	for _, p := range parts {
		n += p.Size
	}
	return n
}

// inline returns the values that are in the message itself.
func inline(parts []wire.ValuePart) [][]byte {
	var values [][]byte
	for _, p := range parts {
		if p.Packed != nil {
			values = append(values, p.Packed)
		}
	}
	return values
}

type partialKey struct {
	from netip.AddrPort
	tid  uint32
}

// partial is a message whose values are still coming in.
type partial struct {
	key      partialKey
	values   []partialValue
	missing  int // values not whole yet
	bytes    int // announced
	started  time.Time
	last     time.Time
	complete func(values [][]byte)
	failed   func()
}

// partialValue is one value being put together. Fragments may come in any order.
type partialValue struct {
	skip bool // larger than any value may be: not kept
	size int
	data []byte
	have []span // what is there, in order, without overlap
}

type span struct{ from, to int }

// partials holds the fragmented messages being received, within the limits. The engine's goroutine owns it.
type partials struct {
	limits  Limits
	metrics *metrics
	byKey   map[partialKey]*partial
	perAddr map[netip.Prefix]int
	bytes   int
}

func newPartials(limits Limits, m *metrics) *partials {
	return &partials{limits: limits, metrics: m, byKey: map[partialKey]*partial{}, perAddr: map[netip.Prefix]int{}}
}

// add starts to receive the values a message announces. It returns nil when that would exceed a limit.
func (ps *partials) add(from netip.AddrPort, m *wire.Message, now time.Time) *partial {
	p := &partial{key: partialKey{from, m.TID}, started: now, last: now, values: make([]partialValue, len(m.Values))}
	for i, part := range m.Values {
		v := &p.values[i]
		switch {
		case part.Packed != nil:
			v.size, v.data, v.have = len(part.Packed), part.Packed, []span{{0, len(part.Packed)}}
		case part.Size > value.MaxPacked || part.Size == 0:
			v.skip = true
		default:
			v.size = part.Size
			p.bytes += part.Size
			p.missing++
		}
	}
	owner := sourcenet.Of(from.Addr())
	_, exists := ps.byKey[p.key]
	if exists || p.missing == 0 || p.bytes > maxPartialBytes || len(ps.byKey) >= ps.limits.PartialMessages ||
		ps.perAddr[owner] >= ps.limits.PartialPerAddress || ps.bytes+p.bytes > ps.limits.PartialBytes {
		ps.metrics.partialsRefused.Add(1)
		return nil
	}
	ps.byKey[p.key] = p
	ps.perAddr[owner]++
	ps.bytes += p.bytes
	return p
}

func (ps *partials) has(from netip.AddrPort, tid uint32) bool {
	return ps.byKey[partialKey{from, tid}] != nil
}

func (ps *partials) remove(p *partial) {
	if ps.byKey[p.key] != p {
		return
	}
	delete(ps.byKey, p.key)
	owner := sourcenet.Of(p.key.from.Addr())
	if ps.perAddr[owner]--; ps.perAddr[owner] == 0 {
		delete(ps.perAddr, owner)
	}
	ps.bytes -= p.bytes
}

// fragments takes a message of kind Fragments.
func (ps *partials) fragments(from netip.AddrPort, m *wire.Message, now time.Time) {
	p := ps.byKey[partialKey{from, m.TID}]
	if p == nil {
		ps.metrics.unmatched.Add(1)
		return
	}
	for _, f := range m.Fragments {
		if f.Index >= len(p.values) {
			continue
		}
		v := &p.values[f.Index]
		if v.skip || v.whole() || !v.put(f.Offset, f.Data) {
			continue
		}
		p.last = now
		if v.whole() {
			p.missing--
		}
	}
	if p.missing > 0 {
		return
	}
	ps.remove(p)
	var values [][]byte
	for i := range p.values {
		if v := &p.values[i]; !v.skip {
			values = append(values, v.data)
		}
	}
	p.complete(values)
}

// expire gives up what came too slowly.
func (ps *partials) expire(now time.Time) {
	for _, p := range ps.byKey {
		if now.Sub(p.started) > partialLife || now.Sub(p.last) > partialIdle {
			ps.remove(p)
			if p.failed != nil {
				p.failed()
			}
		}
	}
}

func (v *partialValue) whole() bool { return len(v.have) == 1 && v.have[0] == span{0, v.size} }

// put adds a fragment and reports whether it brought anything new.
func (v *partialValue) put(offset int, data []byte) bool {
	s := span{offset, offset + len(data)}
	if len(data) == 0 || s.to > v.size {
		return false
	}
	// Find where it goes; fragments of one sender do not overlap, so one that does is a repetition.
	i := 0
	for i < len(v.have) && v.have[i].to < s.from {
		i++
	}
	j := i
	for j < len(v.have) && v.have[j].from <= s.to {
		if v.have[j].from < s.to && s.from < v.have[j].to {
			return false
		}
		s.from, s.to = min(s.from, v.have[j].from), max(s.to, v.have[j].to)
		j++
	}
	if len(v.have)+1-(j-i) > maxSpans {
		return false
	}
	v.have = append(v.have[:i], append([]span{s}, v.have[j:]...)...)
	// Memory follows what has arrived, not what was announced.
	if offset+len(data) > len(v.data) {
		v.data = append(v.data, make([]byte, offset+len(data)-len(v.data))...)
	}
	copy(v.data[offset:], data)
	return true
}

// maxSpans bounds the gaps in a value being received: a value has at most about 55 fragments of the usual size.
const maxSpans = 64
