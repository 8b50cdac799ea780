package congestion

import "time"

// flowSize is how many packets of a flow are remembered: some 8 s of pictures at 2 Mb/s. A power of two.
const flowSize = 2048

// Flow is one stream to a receiver that reports on each stream by itself (Reports.Flow).
type Flow struct {
	c    *Reports
	ring []departure // by the low bits of numbers; nil before the first packet
	next int64       // number of the packet that leaves next

	known bool
	told  int64         // the highest number that the receiver has told of
	last  departure     // that packet
	at    time.Duration // when it was told
	fresh int64         // what left before this number has been answered: its loss is no new sign
}

// departure is one packet as it left.
type departure struct {
	number int64
	at     time.Duration
	total  int64 // bytes that had left by then in all, this packet's too
}

// Sent notes that a packet leaves for the first time: its sequence number, and its size as RTP, in bytes.
func (f *Flow) Sent(seq uint16, size int) {
	c := f.c
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if f.ring == nil {
		f.ring = make([]departure, flowSize)
		f.next = 1<<16 + int64(seq) // so that what is earlier is not negative
		f.fresh = f.next
	}
	n := f.unwrap(seq)
	c.meter.leave(size, now)
	f.ring[n&(flowSize-1)] = departure{number: n, at: now, total: c.meter.total}
	f.next = max(f.next, n+1)
}

func (f *Flow) unwrap(seq uint16) int64 { return f.next + int64(int16(seq-uint16(f.next))) }

// get is the packet of a number, if it is remembered.
func (f *Flow) get(n int64) (departure, bool) {
	if f.ring == nil || n < 0 || n >= f.next {
		return departure{}, false
	}
	d := f.ring[n&(flowSize-1)]
	return d, d.number == n && d.total > 0
}

// answered says that what is lost of what has left until now is answered.
func (f *Flow) answered() { f.fresh = f.next }

// news is what a report says of a flow that was not said before.
type news struct {
	told, lost int     // packets, if all of them left since what was lost was last answered; else 0
	share      float64 // lost of all that is told of
	arrived    float64 // bit/s that arrived meanwhile, of all flows; 0: too little is known
	left       float64 // bit/s that left when these packets left
	trip       time.Duration
	sent       time.Duration // when the newest packet told of has left
}

// read takes a report on a flow: the highest sequence number that has come, and the fraction lost since the report before. It is
// false if that says nothing.
func (f *Flow) read(highest uint32, fraction uint8, now time.Duration) (n news, ok bool) {
	if f.ring == nil {
		return news{}, false
	}
	number := f.unwrap(uint16(highest))
	d, ok := f.get(number)
	if !ok || f.known && number <= f.told {
		return news{}, false
	}
	first, since, before, known := f.told, f.at, f.last, f.known
	f.known, f.told, f.at, f.last = true, number, now, d
	if !known {
		return news{}, false
	}
	all := number - first
	n.share = float64(fraction) / 256
	if first >= f.fresh-1 { // else it tells in part of what is answered; the next one does not
		n.told, n.lost = int(all), int(n.share*float64(all)+0.5)
	}
	n.sent, n.trip = d.at, now-d.at
	bits := float64(8*(d.total-before.total)) * (1 - n.share)
	if span := now - since; span > 0 {
		n.arrived = bits / span.Seconds()
	}
	if span := d.at - before.at; span > 50*time.Millisecond {
		n.left = float64(8*(d.total-before.total)) / span.Seconds()
	}
	return n, true
}
