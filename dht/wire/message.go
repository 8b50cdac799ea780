// Package wire reads and writes OpenDHT's datagrams. It is pure: bytes in, structures out. What it writes is byte for
// byte what a dhtnode 2.4.12 writes for the same message.
package wire

import (
	"net/netip"
	"slices"

	"rendezvous/dht/value"
)

// Kind is what a datagram is, by the key that OpenDHT gives it.
type Kind uint8

// The kinds of datagrams.
const (
	Request   Kind = iota + 1
	Reply          // an answer to a request
	Error          // a refusal of a request
	Fragments      // parts of values announced by an earlier message with the same transaction id
	OldUpdate      // the listen update of protocol version 0: read over and ignored
)

// Method names a request, as it is on the wire.
type Method string

// The requests of the protocol.
const (
	Ping    Method = "ping"
	Find    Method = "find"    // nodes near a target
	Get     Method = "get"     // nodes and values
	Put     Method = "put"     // store values
	Refresh Method = "refresh" // keep a stored value for another lifetime
	Listen  Method = "listen"  // be told of changes at a key
	Update  Method = "update"  // tell a listener of changes
)

// Error codes.
const (
	CodeMalformed    = 203
	CodeUnauthorized = 401
	CodeNotFound     = 404
)

// agent is the implementation name our datagrams carry: the reference's, whose bytes they equal.
const agent = "RNG1"

// maxNodes is how many entries of a node list are read; senders give at most 8.
const maxNodes = 16

// Node is one entry of a node list: whom to ask next, on somebody's word.
type Node struct {
	ID   value.Key
	Addr netip.AddrPort
}

// Family is a set of IP families wanted in an answer.
type Family uint8

// The families. On the wire they are Linux's AF_INET and AF_INET6.
const (
	IPv4 Family = 1 << iota
	IPv6
)

// ValuePart is one element of a values array: a packed value, or the size in bytes of one that follows in fragments.
type ValuePart struct {
	Packed []byte
	Size   int
}

// Fragment is a part of the value at Index in a message's values.
type Fragment struct {
	Index, Offset int
	Data          []byte
}

// Message is one datagram. Which fields mean something depends on Kind and Method; the rest are zero. Slices alias the
// datagram it was read from.
type Message struct {
	Kind    Kind
	Method  Method // of a Request
	TID     uint32 // transaction id; not zero
	Network uint32
	Client  bool      // the sender is not to be listed
	ID      value.Key // the sender

	Target value.Key // what find looks for; the key of get, put, refresh, listen, update

	// Arguments.
	Want      Family // of find and get; zero when the request does not say
	Query     *Query // of get and listen
	SocketID  uint32 // of listen and update: the listener's name for its listen
	Version   uint32 // of listen and update
	Created   int64  // of put and update: Unix seconds; zero is now
	Refreshed []uint64
	Expired   []uint64

	// Arguments or results.
	Token   []byte
	Values  []ValuePart
	ValueID uint64 // of refresh, and of the reply to put and refresh

	// Results.
	SeenAt netip.Addr // the address the replier sees us at
	Nodes4 []Node
	Nodes6 []Node
	Rows   *Rows // what a query with a select found

	Code int    // of an Error
	Text string // of an Error

	Fragments []Fragment // of Fragments, sorted by the sender
}

// Field is a property of a value that a query can select or compare.
type Field uint8

// The fields. Seq can be selected but not compared.
const (
	FieldID Field = iota + 1
	FieldType
	FieldOwner
	FieldSeq
	FieldUserType
)

// FieldValue is the value of one field: Int for id, type and seq; Blob for owner (a key id or a DER key) and user type.
type FieldValue struct {
	Field Field
	Int   uint64
	Blob  []byte
}

// Query restricts a get or a listen. All conditions must hold.
type Query struct {
	Select []Field // empty: whole values
	Where  []FieldValue
}

// Rows is the answer to a query that selects: one row per value, one column per field.
type Rows struct {
	Fields []Field // ascending
	Rows   [][]FieldValue
}

// Clone returns a copy that shares nothing with the datagram the query was read from; the clone of nil is nil.
func (q *Query) Clone() *Query {
	if q == nil {
		return nil
	}
	c := &Query{Select: slices.Clone(q.Select), Where: slices.Clone(q.Where)}
	for i := range c.Where {
		c.Where[i].Blob = slices.Clone(c.Where[i].Blob)
	}
	return c
}

// Matches reports whether a value meets every condition. An encrypted value shows only its id, and type 0.
func (q *Query) Matches(v *value.Value) bool {
	if q == nil {
		return true
	}
	for _, c := range q.Where {
		var ok bool
		switch c.Field {
		case FieldID:
			ok = v.ID == c.Int
		case FieldType:
			ok = uint64(v.Type) == c.Int
		case FieldOwner:
			owner := ownerID(v)
			ok = string(owner[:]) == string(c.Blob)
		case FieldSeq:
			ok = uint64(v.Seq) == c.Int
		case FieldUserType:
			ok = v.UserType == string(c.Blob)
		}
		if !ok {
			return false
		}
	}
	return true
}

func ownerID(v *value.Value) value.Key {
	if v.Owner == nil {
		return value.Key{}
	}
	return v.Owner.ID()
}

// Row returns what the query selects of a value.
func (q *Query) Row(v *value.Value) []FieldValue {
	row := make([]FieldValue, 0, len(q.Select))
	for _, f := range q.columns() {
		cell := FieldValue{Field: f}
		switch f {
		case FieldID:
			cell.Int = v.ID
		case FieldType:
			cell.Int = uint64(v.Type)
		case FieldOwner:
			if v.Owner != nil {
				cell.Blob = v.Owner.DER()
			} else {
				cell.Blob = make([]byte, value.KeyLen)
			}
		case FieldSeq:
			cell.Int = uint64(v.Seq)
		case FieldUserType:
			cell.Blob = []byte(v.UserType)
		}
		row = append(row, cell)
	}
	return row
}

// columns returns the selected fields ascending, each once.
func (q *Query) columns() []Field {
	var columns []Field
	for f := FieldID; f <= FieldUserType; f++ {
		if slices.Contains(q.Select, f) {
			columns = append(columns, f)
		}
	}
	return columns
}

// Answer returns the rows for the values, which the caller has matched.
func (q *Query) Answer(values []*value.Value) *Rows {
	rows := &Rows{Fields: q.columns()}
	for _, v := range values {
		rows.Rows = append(rows.Rows, q.Row(v))
	}
	return rows
}
