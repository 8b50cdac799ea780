package connection

// bounded is a map that forgets its oldest entries. Not safe for many
// goroutines.
type bounded[K comparable, V any] struct {
	max   int
	items map[K]V
	order []K
}

func newBounded[K comparable, V any](max int) *bounded[K, V] {
	return &bounded[K, V]{max: max, items: make(map[K]V)}
}

func (b *bounded[K, V]) get(k K) (V, bool) {
	v, ok := b.items[k]
	return v, ok
}

// add puts a key that is not there yet.
func (b *bounded[K, V]) add(k K, v V) {
	if len(b.order) >= b.max {
		delete(b.items, b.order[0])
		b.order = b.order[1:]
	}
	b.items[k] = v
	b.order = append(b.order, k)
}
