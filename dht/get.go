package dht

import (
	"context"
	"hash/maphash"
	"iter"
	"slices"
	"time"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/dht/wire"
)

// Option narrows a Get or a Listen, or says how its values are to be handed on.
type Option func(*valueFilter)

// valueFilter says which values a Get or a Listen hands on, and how.
type valueFilter struct {
	where   []wire.FieldValue
	decrypt *identity.Identity
}

func newValueFilter(opts []Option) *valueFilter {
	r := &valueFilter{}
	for _, o := range opts {
		o(r)
	}
	return r
}

// WhereID asks for the value with this id only.
func WhereID(id uint64) Option {
	return func(r *valueFilter) { r.where = append(r.where, wire.FieldValue{Field: wire.FieldID, Int: id}) }
}

// WhereType asks for values of one type. Nodes that know of conditions send no others; the rest is left out here.
func WhereType(t value.Type) Option {
	return func(r *valueFilter) {
		r.where = append(r.where, wire.FieldValue{Field: wire.FieldType, Int: uint64(t)})
	}
}

// WhereUserType asks for values of one user type, such as "peer_request".
func WhereUserType(text string) Option {
	return func(r *valueFilter) {
		r.where = append(r.where, wire.FieldValue{Field: wire.FieldUserType, Blob: []byte(text)})
	}
}

// WhereOwner asks for values signed by the key with this short id.
func WhereOwner(id Key) Option {
	return func(r *valueFilter) { r.where = append(r.where, wire.FieldValue{Field: wire.FieldOwner, Blob: id[:]}) }
}

// DecryptWith hands on encrypted values decrypted by the identity, and drops those that are not for it. The Where
// conditions then apply to what is inside, so nothing of them is told to other nodes. Plain values are handed on too;
// require v.IsSigned, and v.To, where that matters.
func DecryptWith(id *identity.Identity) Option {
	return func(r *valueFilter) { r.decrypt = id }
}

// query returns what to ask other nodes: the conditions, unless they are about what is hidden in encrypted values.
func (r *valueFilter) query() *wire.Query {
	if len(r.where) == 0 || r.decrypt != nil {
		return nil
	}
	return &wire.Query{Where: r.where}
}

// accept unpacks a value from the network and returns it as the caller is to see it; nil when it is to be dropped: it is
// broken, wrongly signed, not for us or not asked for. No other node is trusted to have filtered.
func (r *valueFilter) accept(packed []byte) *Value {
	v, err := value.Unpack(packed)
	if err != nil || v.ID == 0 {
		return nil
	}
	if v.IsEncrypted() && r.decrypt != nil {
		if v, err = r.decrypt.Decrypt(v); err != nil {
			return nil
		}
	} else if v.Check() != nil {
		return nil
	}
	if !(&wire.Query{Where: r.where}).Matches(v) {
		return nil
	}
	return v
}

const (
	// pagedFrom is the size of an answer from which on we suspect that it is cut off, and ask what else there is.
	pagedFrom = 48 << 10
	// maxGetBytes bounds what one get takes from the network, and maxGetValues how many different values.
	maxGetBytes  = 64 << 20
	maxGetValues = 64 << 10
	// pageAlpha is how many single values we ask of one node at a time.
	pageAlpha = 4
)

// packedValue is a value as it came, to be looked at by who asked for it.
type packedValue []byte

func (p packedValue) bytes() int { return len(p) }

// getOp is one Get under way. The engine's goroutine owns it, but for the mailbox.
type getOp struct {
	query    *wire.Query
	box      *mailbox[packedValue]
	searches []*search
	started  time.Time
	seed     maphash.Seed
	seen     map[uint64]struct{} // hashes of the values delivered
	bytes    int
	answered int
	over     bool
}

// getAt is what a get does at one candidate.
type getAt struct {
	requests []*request
	done     bool
	ids      []uint64            // still to be asked for, one by one
	have     map[uint64]struct{} // ids that came
}

func (at *getAt) cancel(e *engine) {
	for _, r := range at.requests {
		e.cancel(r)
	}
}

// Get looks a key up and yields its values as they come, each once, with signatures checked. It ends when the closest
// nodes have answered, or with an error: the context's, ErrNoNodes, ErrClosed. Breaking off ends the search.
func (n *Node) Get(ctx context.Context, key Key, opts ...Option) iter.Seq2[*Value, error] {
	return func(yield func(*Value, error) bool) {
		ctx, cancel := context.WithTimeout(ctx, n.cfg.Limits.GetTimeout)
		defer cancel()
		asked := newValueFilter(opts)
		op := &getOp{
			query: asked.query(),
			box:   newMailbox[packedValue](maxGetValues, &n.metrics.eventsDropped),
			seed:  maphash.MakeSeed(),
			seen:  map[uint64]struct{}{},
		}
		if err := n.do(ctx, func(e *engine) { op.start(e, key) }); err != nil {
			yield(nil, err)
			return
		}
		defer n.post(op.stop)
		for {
			packed, ok, err := op.box.next(ctx)
			if !ok {
				if err != nil {
					yield(nil, err)
				}
				return
			}
			if v := asked.accept(packed); v != nil && !yield(v, nil) {
				return
			}
		}
	}
}

func (op *getOp) start(e *engine, key Key) {
	op.started = e.now
	op.deliver(packedUpTo(e.store.matching(key, op.query), maxGetBytes))
	op.searches = e.searchesFor(key)
	if len(op.searches) == 0 {
		op.finish(ErrTooManyOperations)
		return
	}
	for _, s := range op.searches {
		s.gets = append(s.gets, op)
		s.soon()
	}
}

// stop ends the get, finished or not.
func (op *getOp) stop(e *engine) {
	op.over = true
	for _, s := range op.searches {
		s.gets = slices.DeleteFunc(s.gets, func(o *getOp) bool { return o == op })
		for _, c := range s.candidates {
			if at := c.gets[op]; at != nil {
				at.cancel(e)
				delete(c.gets, op)
			}
		}
		s.soon() // others may have waited for this one's turn to end
	}
	op.finish(ErrClosed) // has no effect if it finished before
}

func (op *getOp) finish(err error) { op.box.end(err) }

// deliver hands values on to the reader, those that were not there before.
func (op *getOp) deliver(values [][]byte) {
	for _, packed := range values {
		hash := maphash.Bytes(op.seed, packed)
		if _, known := op.seen[hash]; known || op.bytes > maxGetBytes || len(op.seen) >= maxGetValues {
			continue
		}
		op.seen[hash] = struct{}{}
		op.bytes += len(packed)
		op.box.send(packed)
	}
}

// conclude ends the get if the nearest nodes of all families have answered.
func (op *getOp) conclude(e *engine) {
	for _, s := range op.searches {
		if !op.doneIn(s) {
			return
		}
	}
	var err error
	if op.answered == 0 {
		err = ErrNoNodes
	}
	op.finish(err)
	op.stop(e)
}

func (op *getOp) doneIn(s *search) bool {
	nearest := s.nearest(searchReach)
	for _, c := range nearest {
		if at := c.gets[op]; at == nil || !at.done {
			return false
		}
	}
	return len(nearest) > 0 || s.hopeless(op.started)
}

// get asks a candidate for the values.
func (c *candidate) get(op *getOp) {
	at := &getAt{have: map[uint64]struct{}{}}
	c.gets[op] = at
	at.ask(c, op.query, func(m *wire.Message, values [][]byte) {
		op.answered++
		op.deliver(values)
		total := 0
		for _, packed := range values {
			total += len(packed)
			if v, err := value.Unpack(packed); err == nil {
				at.have[v.ID] = struct{}{}
			}
		}
		if total < pagedFrom && m.Text != tooLarge {
			at.done = true
			return
		}
		at.page(c, op)
	})
}

// ask sends one of the requests the get consists of.
func (at *getAt) ask(c *candidate, q *wire.Query, answered func(m *wire.Message, values [][]byte)) {
	s := c.search
	at.requests = append(slices.DeleteFunc(at.requests, func(r *request) bool { return r.done }),
		s.e.ask(c.peer, &wire.Message{Method: wire.Get, Target: s.target, Query: q}, nil, handler{
			reply: func(m *wire.Message, values [][]byte) {
				if c.answered(m) {
					answered(m, values)
				}
			},
			refused: func(int) { s.refusedSearch(c) },
			slow:    s.soon,
		}))
}

// page asks a candidate which values it has and then for those it did not send, one by one.
func (at *getAt) page(c *candidate, op *getOp) {
	ids := &wire.Query{Select: []wire.Field{wire.FieldID}}
	if op.query != nil {
		ids.Where = op.query.Where
	}
	at.ask(c, ids, func(m *wire.Message, _ [][]byte) {
		if m.Rows != nil && len(m.Rows.Fields) == 1 {
			for _, row := range m.Rows.Rows {
				if _, have := at.have[row[0].Int]; !have {
					at.ids = append(at.ids, row[0].Int)
				}
			}
		}
		at.nextPages(c, op)
	})
}

func (at *getAt) nextPages(c *candidate, op *getOp) {
	pending := 0
	for _, r := range at.requests {
		if !r.done {
			pending++
		}
	}
	for ; len(at.ids) > 0 && pending < pageAlpha && op.bytes <= maxGetBytes; pending++ {
		id := at.ids[0]
		at.ids = at.ids[1:]
		q := &wire.Query{Where: []wire.FieldValue{{Field: wire.FieldID, Int: id}}}
		at.ask(c, q, func(_ *wire.Message, values [][]byte) {
			op.deliver(values)
			at.nextPages(c, op)
		})
	}
	if pending == 0 {
		at.done = true
		c.search.soon()
	}
}
