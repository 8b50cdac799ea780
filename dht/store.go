package dht

import (
	"bytes"
	"cmp"
	"container/heap"
	"net/netip"
	"slices"
	"time"

	"rendezvous/dht/value"
	"rendezvous/dht/wire"
	"rendezvous/internal/sourcenet"
)

// store holds the values this node keeps, for others and for itself, and who listens to them. The engine's goroutine
// owns it.
type store struct {
	limits  Limits
	metrics *metrics
	// notify is told of every change, before others are.
	notify func(s *slot, ch change)

	byKey     map[Key]*slot
	bytes     int
	values    int
	expiry    expiryHeap
	usage     map[netip.Prefix]*usage
	listeners map[*peer][]*remoteListener
	listening int
}

// slot is what is kept at one key. A node has very many: it is kept small.
type slot struct {
	key    Key
	values []*stored // by id
	*audience
}

// audience is who listens at a key.
type audience struct {
	listeners []*remoteListener
	local     []*listenOp
}

// nobody is the audience of the slots that have none: it is never changed.
var nobody = &audience{}

// watched gives a slot an audience of its own, to be changed.
func (sl *slot) watched() *audience {
	if sl.audience == nobody {
		sl.audience = &audience{}
	}
	return sl.audience
}

// epoch is what times of values are counted from: by the clock that nobody sets, so that a time of day that is set ages no value.
var epoch = time.Now()

func sinceEpoch(t time.Time) int64 { return t.Sub(epoch).Milliseconds() }

// wireTime is the time of a value that a node tells of, in Unix seconds, 0 if it does not; by our clock, and not later than now.
func wireTime(created int64, now time.Time) time.Time {
	if created <= 0 {
		return now
	}
	return now.Add(min(0, time.Unix(created, 0).Sub(now)))
}

// stored is one value, packed. A node has very many: it is kept small.
type stored struct {
	id      uint64
	made    int64 // milliseconds since the epoch
	packed  []byte
	slot    *slot
	usage   *usage
	index   int32 // in the expiry heap; -1 once removed
	seconds uint32
}

func (v *stored) created() time.Time  { return epoch.Add(time.Duration(v.made) * time.Millisecond) }
func (v *stored) life() time.Duration { return time.Duration(v.seconds) * time.Second }
func (v *stored) ends() int64         { return v.made + 1000*int64(v.seconds) }
func (v *stored) expires() time.Time  { return v.created().Add(v.life()) }

// usage is what one address stores.
type usage struct {
	from  netip.Prefix // zero: this node itself
	own   bool         // this node itself: no quota
	bytes int
	count int
	queue []*stored // oldest first; removed ones stay in it for a while
}

// changeKind says what happened to a value.
type changeKind uint8

const (
	added changeKind = iota
	refreshed
	expired
)

type change struct {
	kind  changeKind
	value *stored
}

func newStore(limits Limits, m *metrics) *store {
	return &store{limits: limits, metrics: m, byKey: map[Key]*slot{}, usage: map[netip.Prefix]*usage{},
		listeners: map[*peer][]*remoteListener{}}
}

// at returns the slot of a key, making it if asked to; nil if there is none, or no room.
func (s *store) at(key Key, make bool) *slot {
	sl := s.byKey[key]
	if sl == nil && make && len(s.byKey) < s.limits.StoreKeys {
		sl = &slot{key: key, audience: nobody}
		s.byKey[key] = sl
	}
	return sl
}

// drop forgets a slot that holds nothing.
func (s *store) drop(sl *slot) {
	if len(sl.values) == 0 && len(sl.listeners) == 0 && len(sl.local) == 0 {
		delete(s.byKey, sl.key)
	}
}

// find returns the position of an id.
func (sl *slot) find(id uint64) (int, bool) {
	return slices.BinarySearchFunc(sl.values, id, func(v *stored, id uint64) int { return cmp.Compare(v.id, id) })
}

func (sl *slot) get(id uint64) *stored {
	if sl == nil {
		return nil
	}
	if i, ok := sl.find(id); ok {
		return sl.values[i]
	}
	return nil
}

// put stores a value that policy allows. The address from is who sent it, the zero address is this node.
func (s *store) put(key Key, v *value.Value, packed []byte, created, now time.Time, from netip.Addr) bool {
	life := v.Type.Lifetime()
	if !created.Add(life).After(now) {
		return false
	}
	sl := s.at(key, true)
	if sl == nil {
		return false
	}
	defer s.drop(sl)
	i, exists := sl.find(v.ID)
	if exists {
		old := sl.values[i]
		if bytes.Equal(old.packed, packed) {
			return s.refresh(sl, v.ID, created)
		}
		if previous, err := value.Unpack(old.packed); err != nil || !mayReplace(previous, v) {
			return false
		}
	} else if len(sl.values) >= s.limits.ValuesPerKey {
		return false
	}
	u := s.usageOf(from)
	if !u.own && len(packed) > s.limits.StoreBytesPerAddress {
		return false
	}
	entry := &stored{id: v.ID, made: sinceEpoch(created), seconds: uint32(life / time.Second), packed: packed, slot: sl, usage: u}
	if exists {
		s.unlink(sl.values[i])
		sl.values[i] = entry
	} else {
		sl.values = slices.Insert(sl.values, i, entry)
	}
	s.link(entry)
	s.notify(sl, change{added, entry})
	s.enforce(u)
	return true
}

func (s *store) link(v *stored) {
	s.values++
	s.bytes += len(v.packed)
	v.usage.bytes += len(v.packed)
	v.usage.count++
	v.usage.queue = append(v.usage.queue, v)
	heap.Push(&s.expiry, v)
}

func (s *store) unlink(v *stored) {
	s.values--
	s.bytes -= len(v.packed)
	heap.Remove(&s.expiry, int(v.index))
	v.index = -1
	u := v.usage
	u.bytes -= len(v.packed)
	if u.count--; u.count == 0 {
		delete(s.usage, u.from)
	} else if len(u.queue) > 2*u.count+16 {
		u.queue = slices.DeleteFunc(u.queue, func(v *stored) bool { return v.index < 0 })
	}
}

// remove takes a value out and tells those who listen.
func (s *store) remove(v *stored) {
	sl := v.slot
	i, ok := sl.find(v.id)
	if !ok || sl.values[i] != v {
		return
	}
	s.unlink(v)
	sl.values = slices.Delete(sl.values, i, i+1)
	s.notify(sl, change{expired, v})
	s.drop(sl)
}

func (s *store) usageOf(from netip.Addr) *usage {
	key := sourcenet.Of(from)
	u := s.usage[key]
	if u == nil {
		u = &usage{from: key, own: !from.IsValid()}
		s.usage[key] = u
	}
	return u
}

// enforce brings the store back under its limits after u stored something: first u itself, then whoever stores most
// loses the oldest. What this node keeps for itself is not touched.
func (s *store) enforce(u *usage) {
	for !u.own && u.bytes > s.limits.StoreBytesPerAddress {
		s.removeOldest(u)
	}
	if s.bytes <= s.limits.StoreBytes {
		return
	}
	// Making room for many at once keeps the search for the heaviest rare.
	for enough := s.limits.StoreBytes - s.limits.StoreBytes/16; s.bytes > enough; {
		var heaviest *usage
		for _, o := range s.usage {
			if !o.own && (heaviest == nil || o.bytes > heaviest.bytes) {
				heaviest = o
			}
		}
		if heaviest == nil {
			return
		}
		for least := heaviest.bytes / 2; heaviest.bytes > least && s.bytes > enough; {
			s.removeOldest(heaviest)
		}
	}
}

func (s *store) removeOldest(u *usage) {
	for len(u.queue) > 0 {
		v := u.queue[0]
		u.queue = u.queue[1:]
		if v.index >= 0 {
			s.remove(v)
			return
		}
	}
}

// refresh gives a value another lifetime from created on, never a shorter one.
func (s *store) refresh(sl *slot, id uint64, created time.Time) bool {
	v := sl.get(id)
	if v == nil {
		return false
	}
	if made := sinceEpoch(created); made > v.made {
		v.made = made
		heap.Fix(&s.expiry, int(v.index))
	}
	s.notify(sl, change{refreshed, v})
	return true
}

// expire removes the values whose time is over and returns when the next one's will be.
func (s *store) expire(now time.Time) (next time.Time, any bool) {
	for len(s.expiry) > 0 {
		v := s.expiry[0]
		if v.expires().After(now) {
			return v.expires(), true
		}
		s.remove(v)
	}
	return time.Time{}, false
}

// matching returns the values at a key that a query is for. It unpacks them only if the query looks inside.
func (s *store) matching(key Key, q *wire.Query) []*stored {
	sl := s.byKey[key]
	if sl == nil {
		return nil
	}
	if q == nil || len(q.Where) == 0 {
		return sl.values
	}
	var found []*stored
	for _, c := range q.Where {
		if c.Field == wire.FieldID {
			if v := sl.get(c.Int); v != nil && matches(v, q) {
				found = append(found, v)
			}
			return found
		}
	}
	for _, v := range sl.values {
		if matches(v, q) {
			found = append(found, v)
		}
	}
	return found
}

func matches(v *stored, q *wire.Query) bool {
	if q == nil || len(q.Where) == 0 {
		return true
	}
	unpacked, err := value.Unpack(v.packed)
	return err == nil && q.Matches(unpacked)
}

// expiryHeap orders values by when they expire.
type expiryHeap []*stored

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].ends() < h[j].ends() }
func (h expiryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = int32(i), int32(j)
}

func (h *expiryHeap) Push(x any) {
	v := x.(*stored)
	v.index = int32(len(*h))
	*h = append(*h, v)
}

func (h *expiryHeap) Pop() any {
	old := *h
	v := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return v
}
