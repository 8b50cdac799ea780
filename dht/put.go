package dht

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/dht/wire"
)

// refreshMargin is how long before its end a permanent value's life is renewed.
const refreshMargin = 10 * time.Second

// refreshSpread is the part of its life, one in so many, by which a value is refreshed sooner at most.
const refreshSpread = 10

// putOp is a value being put, once or for good. The engine's goroutine owns it, but for result.
type putOp struct {
	key       Key
	id        uint64
	value     *Value
	packed    []byte
	life      time.Duration
	permanent bool
	sooner    time.Duration // how much before its end a value that is kept is refreshed, besides refreshMargin
	copied    bool          // of a value we store for others
	created   time.Time     // of the value
	started   time.Time
	searches  []*search
	renew     *timer // of our own copy
	acked     int
	concluded bool // what there was to say in result is said
	result    *result
}

// putAt is what a put does at one candidate.
type putAt struct {
	request *request
	acked   time.Time // when the node last said that it has the value; zero: never
}

// due returns when the node's copy is to be refreshed.
func (at *putAt) due(op *putOp) (time.Time, bool) {
	if !op.permanent || at.acked.IsZero() || at.request != nil && !at.request.done {
		return time.Time{}, false
	}
	return at.acked.Add(op.life - refreshMargin - op.sooner), true
}

// result is an outcome that is known once.
type result struct {
	once sync.Once
	done chan struct{}
	err  error
}

func newResult() *result { return &result{done: make(chan struct{})} }

func (r *result) set(err error) {
	r.once.Do(func() {
		r.err = err
		close(r.done)
	})
}

func (r *result) wait(ctx context.Context) error {
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newPut checks a value and fills in its id.
func newPut(key Key, v *Value, permanent bool) (*putOp, error) {
	switch {
	case key.IsZero():
		return nil, fmt.Errorf("put value: %w: no key", value.ErrMalformed)
	case v.Size() > value.MaxSize:
		return nil, fmt.Errorf("put value: %w: %d bytes", value.ErrTooLarge, v.Size())
	}
	if v.ID == 0 {
		v.ID = value.RandomID()
	}
	v = v.Clone()
	op := &putOp{
		key: key, id: v.ID, value: v, packed: v.Pack(), life: v.Type.Lifetime(), permanent: permanent, result: newResult(),
	}
	op.sooner = spread(0, op.life/refreshSpread) // what is put together is not refreshed together
	return op, nil
}

// Put publishes a value once; it lives for its type's lifetime. It fills in v.ID if that is zero. Put returns when the
// nodes closest to the key have acknowledged it: with nil if any did, which is no promise that they keep it (get it to be
// sure). A value that is put while no other node is known is kept by this one alone, and the error is ErrNoNodes. The key
// zero (value.ErrMalformed) and values of more than value.MaxSize bytes (value.ErrTooLarge) are refused; other errors are
// ErrClosed, ErrTooManyOperations and the context's.
func (n *Node) Put(ctx context.Context, key Key, v *Value) error {
	return n.PutCreated(ctx, key, v, time.Time{})
}

// PutCreated is Put for a value that was made earlier, such as one that is passed on: its life is counted from created
// on. The zero time means now. Errors are those of Put.
func (n *Node) PutCreated(ctx context.Context, key Key, v *Value, created time.Time) error {
	op, err := newPut(key, v, false)
	if err != nil {
		return err
	}
	op.created = created
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Limits.GetTimeout)
	defer cancel()
	if err := n.do(ctx, op.start); err != nil {
		return err
	}
	if err := op.result.wait(ctx); err != nil {
		n.post(op.stop)
		return fmt.Errorf("put value %x at %s: %w", v.ID, key, err)
	}
	return nil
}

// PutSigned signs v as who and puts it. If a value of the same id and owner is there, v takes the next sequence number
// and so replaces it. Errors are those of Put, and of Get, which it asks for that.
func (n *Node) PutSigned(ctx context.Context, who *identity.Identity, key Key, v *Value) error {
	if v.ID == 0 {
		v.ID = value.RandomID()
	} else {
		for old, err := range n.Get(ctx, key, WhereID(v.ID)) {
			if err != nil {
				return fmt.Errorf("put signed value: %w", err)
			}
			if old.IsSigned() && old.Owner.ID() == who.ID() && old.Seq >= v.Seq {
				v.Seq = old.Seq + 1
			}
		}
	}
	if err := who.Sign(v); err != nil {
		return err
	}
	return n.Put(ctx, key, v)
}

// PutEncrypted signs v as from, encrypts it so that only the holder of to can read it, and puts it. Errors are those of
// Put; the encrypted value is the one that has to fit.
func (n *Node) PutEncrypted(ctx context.Context, from *identity.Identity, to *value.PublicKey, key Key, v *Value) error {
	if v.ID == 0 {
		v.ID = value.RandomID()
	}
	sealed, err := from.Encrypt(v, to)
	if err != nil {
		return err
	}
	return n.Put(ctx, key, sealed)
}

// Permanent is what is kept on the DHT: one value, or several that belong together.
type Permanent struct {
	n      *Node
	cancel context.CancelFunc
	ops    []*putOp
	ready  *result
}

// PutPermanent keeps a value on the DHT: it is put, refreshed before it expires, and put on nodes that come to be closest
// to the key, until ctx ends, Cancel is called or the node is closed. It fills in v.ID if that is zero, and does not wait.
func (n *Node) PutPermanent(ctx context.Context, key Key, v *Value) (*Permanent, error) {
	op, err := newPut(key, v, true)
	if err != nil {
		return nil, err
	}
	return n.keep(ctx, op)
}

// keep starts permanent puts, each after the one before was acknowledged.
func (n *Node) keep(ctx context.Context, ops ...*putOp) (*Permanent, error) {
	ctx, cancel := context.WithCancel(ctx)
	p := &Permanent{n: n, cancel: cancel, ops: ops, ready: newResult()}
	if !n.spawn(func() { p.run(ctx) }) {
		cancel()
		return nil, ErrClosed
	}
	return p, nil
}

// run starts the puts in order and ends them when ctx does.
func (p *Permanent) run(ctx context.Context) {
	defer p.cancel()
	for _, op := range p.ops {
		err := p.n.do(ctx, op.start)
		if err == nil {
			err = p.wait(ctx, op)
		}
		if err != nil {
			p.ready.set(err)
			break
		}
	}
	p.ready.set(nil)
	select {
	case <-ctx.Done():
	case <-p.n.stopping:
	}
	for _, op := range p.ops {
		p.n.post(op.stop)
	}
}

func (p *Permanent) wait(ctx context.Context, op *putOp) error {
	select {
	case <-op.result.done:
		return op.result.err
	case <-ctx.Done():
		return ctx.Err()
	case <-p.n.stopping:
		return ErrClosed
	}
}

// Wait returns nil once the closest nodes have acknowledged everything for the first time. If ctx ends before, its error
// is returned, and the value is kept all the same; ErrClosed if the node ends, or Cancel has been called.
func (p *Permanent) Wait(ctx context.Context) error { return p.ready.wait(ctx) }

// Cancel stops refreshing; the nodes that hold the value let it expire.
func (p *Permanent) Cancel() { p.cancel() }

func (op *putOp) start(e *engine) {
	op.started = e.now
	if op.created.IsZero() {
		op.created = e.now
	}
	if !op.copied {
		op.keepOwn(e)
	}
	op.searches = e.searchesFor(op.key)
	if len(op.searches) == 0 {
		op.result.set(ErrTooManyOperations)
		return
	}
	for _, s := range op.searches {
		s.puts = append(s.puts, op)
		s.soon()
	}
}

// keepOwn stores the value in our own store too, and keeps it there if the put is permanent.
func (op *putOp) keepOwn(e *engine) {
	if !op.permanent {
		e.store.put(op.key, op.value, op.packed, op.created, e.now, netip.Addr{})
	} else {
		e.store.put(op.key, op.value, op.packed, e.now, e.now, netip.Addr{})
		op.renew = e.timers.at(e.now.Add(op.life-refreshMargin), func() { op.keepOwn(e) })
	}
}

// stop ends the put, finished or not.
func (op *putOp) stop(e *engine) {
	e.timers.stop(op.renew)
	op.permanent = false
	for _, s := range op.searches {
		s.puts = slices.DeleteFunc(s.puts, func(o *putOp) bool { return o == op })
		for _, c := range s.candidates {
			if at := c.puts[op]; at != nil {
				e.cancel(at.request)
				delete(c.puts, op)
			}
		}
	}
	op.result.set(ErrClosed) // has no effect if it finished before
}

// conclude reports the put done when every nearest node of all families has acknowledged it.
func (op *putOp) conclude(e *engine) {
	if op.concluded {
		return
	}
	for _, s := range op.searches {
		if !op.doneIn(s) {
			return
		}
	}
	switch {
	case op.acked > 0:
		op.concluded = true
		op.result.set(nil)
	case op.permanent:
		return // nodes will come
	default:
		op.result.set(ErrNoNodes)
	}
	if !op.permanent {
		op.stop(e)
	}
}

func (op *putOp) doneIn(s *search) bool {
	nearest := s.nearest(searchReach)
	for _, c := range nearest {
		if at := c.puts[op]; at == nil || at.acked.IsZero() {
			return false
		}
	}
	return len(nearest) > 0 || s.hopeless(op.started)
}

// put does what is to be done at a candidate now for op: put the value, refresh it, or nothing.
func (c *candidate) put(op *putOp) {
	e := c.search.e
	at := c.puts[op]
	if at == nil {
		at = &putAt{}
		c.puts[op] = at
		m := &wire.Message{Method: wire.Put, Target: op.key, Token: c.token}
		if !op.permanent && e.now.Sub(op.created) >= time.Second {
			m.Created = op.created.Unix()
		}
		at.request = e.ask(c.peer, m, [][]byte{op.packed}, c.putHandler(op, at))
		return
	}
	if due, ok := at.due(op); ok && !due.After(e.now) {
		m := &wire.Message{Method: wire.Refresh, Target: op.key, ValueID: op.id, Token: c.token}
		at.request = e.ask(c.peer, m, nil, c.putHandler(op, at))
	}
}

func (c *candidate) putHandler(op *putOp, at *putAt) handler {
	s := c.search
	return handler{
		reply: func(*wire.Message, [][]byte) {
			if at.acked.IsZero() {
				op.acked++
			}
			at.acked = s.e.now
			s.soon()
		},
		refused: func(code int) {
			delete(c.puts, op) // to be put again: the node forgot the value, or wants another token
			switch code {
			case wire.CodeNotFound:
				s.soon()
			case wire.CodeUnauthorized:
				c.unauthorizedBy()
			default:
				s.refusedSearch(c)
			}
		},
		slow: s.soon,
	}
}
