package wire

import (
	"errors"
	"fmt"
	"math"
	"net/netip"

	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
)

// ErrMalformed says that a datagram is none of the protocol's.
var ErrMalformed = errors.New("malformed message")

// Bounds on what is read; all far above what any sender needs.
const (
	maxToken     = 64 // bytes; the reference's have 32
	maxWhere     = 8
	maxCondition = 1024 // bytes a value's field is compared with
	maxSelect    = 8
	maxValueSize = 1 << 20 // of an announced fragmented value; the caller decides what it takes
	maxIndex     = 1 << 16
	maxValues    = 1 << 14 // elements of a values array
)

// Decode reads one datagram. The error wraps ErrMalformed; what a message of its kind
// lacks besides, its handler finds.
func Decode(p []byte) (*Message, error) {
	m := &Message{}
	r := msgpack.NewReader(p)
	d := decoder{Reader: r, m: m}
	d.top()
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return m, nil
}

type decoder struct {
	*msgpack.Reader
	m *Message
}

func (d decoder) top() {
	m := d.m
	var hasE, hasR, hasP, hasU bool
	y := "q"
	for n := d.Map(); n > 0 && d.Err() == nil; n-- {
		switch d.Key() {
		case "a":
			d.arguments()
		case "r":
			hasR = true
			d.results()
		case "e":
			hasE = true
			d.refusal()
		case "p":
			hasP = true
			d.fragments()
		case "u":
			hasU = true
			d.Skip()
		case "q":
			m.Method = Method(d.Str())
		case "t":
			m.TID = d.transaction()
		case "y":
			y = d.Str()
		case "n":
			m.Network = uint32(d.UintMax(math.MaxUint32))
		case "s":
			m.Client = d.Bool()
		default:
			d.Skip()
		}
	}
	switch {
	case hasE:
		m.Kind = Error
	case hasR:
		m.Kind = Reply
	case hasP:
		m.Kind = Fragments
	case hasU:
		m.Kind = OldUpdate
	case y == "q":
		m.Kind = Request
	default:
		d.Fail(fmt.Errorf("neither request nor answer: %.8q", y))
	}
	if m.ID.IsZero() && m.Kind != Fragments && m.Kind != OldUpdate {
		d.Fail(errors.New("no sender id"))
	}
	if m.TID == 0 {
		d.Fail(errors.New("no transaction id"))
	}
}

// transaction reads an unsigned integer, or the old form: 4 bytes, big-endian.
func (d decoder) transaction() uint32 {
	if d.Kind() == msgpack.Uint {
		return uint32(d.UintMax(math.MaxUint32))
	}
	id, ok := msgpack.Uint32(d.Blob())
	if !ok {
		d.Fail(errors.New("transaction id is neither a number nor 4 bytes"))
	}
	return id
}

func (d decoder) arguments() {
	m := d.m
	for n := d.Map(); n > 0 && d.Err() == nil; n-- {
		switch d.Key() {
		case "id":
			m.ID = value.ReadKey(d.Reader)
		case "target", "h":
			m.Target = value.ReadKey(d.Reader)
		case "w":
			d.want()
		case "q":
			m.Query = d.query()
		case "token":
			m.Token = d.token()
		case "sid":
			m.SocketID = uint32(d.UintMax(math.MaxUint32))
		case "ve":
			m.Version = uint32(d.UintMax(math.MaxUint32))
		case "c":
			m.Created = d.Int()
		case "vid":
			m.ValueID = d.Uint()
		case "values":
			m.Values = d.values()
		case "re":
			m.Refreshed = d.ids()
		case "exp":
			m.Expired = d.ids()
		default:
			d.Skip()
		}
	}
}

func (d decoder) results() {
	m := d.m
	for n := d.Map(); n > 0 && d.Err() == nil; n-- {
		switch d.Key() {
		case "id":
			m.ID = value.ReadKey(d.Reader)
		case "sa":
			if addr, ok := netip.AddrFromSlice(d.Blob()); ok {
				m.SeenAt = addr
			}
		case "n4":
			m.Nodes4 = d.nodes(4)
		case "n6":
			m.Nodes6 = d.nodes(16)
		case "token":
			m.Token = d.token()
		case "vid":
			m.ValueID = d.Uint()
		case "values":
			m.Values = d.values()
		case "fileds":
			m.Rows = d.rows()
		default:
			d.Skip()
		}
	}
}

func (d decoder) nodes(addrLen int) []Node {
	nodes, ok := readNodes(d.Blob(), addrLen)
	if !ok {
		d.Fail(errors.New("node list of a wrong length"))
	}
	return nodes
}

func (d decoder) token() []byte {
	t := d.Blob()
	if len(t) > maxToken {
		d.Fail(fmt.Errorf("token of %d bytes", len(t)))
	}
	return t
}

func (d decoder) want() {
	for n := d.Array(); n > 0 && d.Err() == nil; n-- {
		switch d.Uint() {
		case afINET:
			d.m.Want |= IPv4
		case afINET6:
			d.m.Want |= IPv6
		}
	}
}

func (d decoder) values() []ValuePart {
	n := d.Array()
	if n > maxValues {
		d.Fail(fmt.Errorf("%d values", n))
		return nil
	}
	parts := make([]ValuePart, 0, n)
	for len(parts) < cap(parts) && d.Err() == nil {
		if d.Kind() == msgpack.Uint {
			parts = append(parts, ValuePart{Size: int(d.UintMax(maxValueSize))})
		} else {
			parts = append(parts, ValuePart{Packed: d.Raw()})
		}
	}
	return parts
}

func (d decoder) ids() []uint64 {
	ids := make([]uint64, 0, d.Array())
	for len(ids) < cap(ids) && d.Err() == nil {
		ids = append(ids, d.Uint())
	}
	return ids
}

func (d decoder) refusal() {
	n := d.Array()
	if n < 1 {
		d.Fail(errors.New("empty error"))
		return
	}
	d.m.Code = int(d.UintMax(math.MaxUint16))
	if n > 1 {
		d.m.Text = d.Str()
	}
	for n -= 2; n > 0 && d.Err() == nil; n-- {
		d.Skip()
	}
}

func (d decoder) fragments() {
	for n := d.Map(); n > 0 && d.Err() == nil; n-- {
		f := Fragment{Index: int(d.UintMax(maxIndex))}
		for k := d.Map(); k > 0 && d.Err() == nil; k-- {
			switch d.Key() {
			case "o":
				f.Offset = int(d.UintMax(maxValueSize))
			case "d":
				f.Data = d.Blob()
			default:
				d.Skip()
			}
		}
		d.m.Fragments = append(d.m.Fragments, f)
	}
}

func (d decoder) query() *Query {
	q := &Query{}
	for n := d.Map(); n > 0 && d.Err() == nil; n-- {
		switch d.Key() {
		case "s":
			k := d.Array()
			if k > maxSelect {
				d.Fail(errors.New("too many fields selected"))
			}
			for ; k > 0 && d.Err() == nil; k-- {
				q.Select = append(q.Select, d.field())
			}
		case "w":
			k := d.Array()
			if k > maxWhere {
				d.Fail(errors.New("too many conditions"))
			}
			for ; k > 0 && d.Err() == nil; k-- {
				q.Where = append(q.Where, d.condition())
			}
		default:
			d.Skip()
		}
	}
	return q
}

func (d decoder) field() Field {
	f := Field(d.UintMax(math.MaxUint8))
	if d.Err() == nil && (f < FieldID || f > FieldUserType) {
		d.Fail(fmt.Errorf("no field %d", f))
	}
	return f
}

func (d decoder) condition() FieldValue {
	var c FieldValue
	for n := d.Map(); n > 0 && d.Err() == nil; n-- {
		switch d.Key() {
		case "f":
			c.Field = d.field()
		case "v":
			c.Int, c.Blob = d.cell()
		default:
			d.Skip()
		}
	}
	if len(c.Blob) > maxCondition {
		d.Fail(errors.New("condition too long"))
	}
	if c.Field == 0 {
		d.Fail(errors.New("condition without a field"))
	}
	return c
}

// cell reads a field's value, which is a number or a blob.
func (d decoder) cell() (uint64, []byte) {
	if d.Kind() == msgpack.Uint {
		return d.Uint(), nil
	}
	return 0, d.Blob()
}

func (d decoder) rows() *Rows {
	rows := &Rows{}
	var cells []FieldValue
	for n := d.Map(); n > 0 && d.Err() == nil; n-- {
		switch d.Key() {
		case "f":
			k := d.Array()
			if k > maxSelect {
				d.Fail(errors.New("too many fields"))
			}
			for ; k > 0 && d.Err() == nil; k-- {
				rows.Fields = append(rows.Fields, d.field())
			}
		case "v":
			for k := d.Array(); k > 0 && d.Err() == nil; k-- {
				var c FieldValue
				c.Int, c.Blob = d.cell()
				cells = append(cells, c)
			}
		default:
			d.Skip()
		}
	}
	width := len(rows.Fields)
	if width == 0 {
		if len(cells) > 0 {
			d.Fail(errors.New("cells without fields"))
		}
		return rows
	}
	if len(cells)%width != 0 {
		d.Fail(errors.New("incomplete row"))
		return rows
	}
	for ; len(cells) > 0; cells = cells[width:] {
		row := cells[:width:width]
		for i := range row {
			row[i].Field = rows.Fields[i]
		}
		rows.Rows = append(rows.Rows, row)
	}
	return rows
}
