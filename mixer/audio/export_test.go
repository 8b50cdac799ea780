package audio

// AddStill brings a member in without starting the clock; Tick then makes a tick at a time.
func (b *Bus) AddStill(m Member) {
	s := newSlot(m)
	b.mu.Lock()
	b.slots[m] = s
	b.mu.Unlock()
	order := append(*b.order.Load(), s)
	b.order.Store(&order)
	if len(order) == 1 {
		b.mix.workers.start()
	}
}

// Tick makes 20 ms of sound.
func (b *Bus) Tick() { b.tick() }

// CloseStill ends a bus that was filled by AddStill.
func (b *Bus) CloseStill() {
	for _, s := range *b.order.Load() {
		s.close()
	}
	b.mix.workers.stop()
	b.mix.close()
}
