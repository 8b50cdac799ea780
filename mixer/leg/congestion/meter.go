package congestion

import "time"

const (
	meterKept = 512 // marks of what has left: 5 s at least
	meterStep = 10 * time.Millisecond
	sentOver  = time.Second // what is sent is told from so long
)

// meter is how much has left, and when.
type meter struct {
	total int64            // bytes
	marks *[meterKept]mark // a ring; nil before the first
	first int
	count int
}

// mark is how much had left when.
type mark struct {
	at    time.Duration
	total int64
}

// leave notes that bytes leave.
func (m *meter) leave(size int, now time.Duration) {
	m.total += int64(size + Overhead)
	if m.marks == nil {
		m.marks = new([meterKept]mark)
	}
	if m.count > 0 {
		if last := &m.marks[(m.first+m.count-1)%meterKept]; now-last.at < meterStep {
			last.total = m.total
			return
		}
	}
	if m.count == meterKept {
		m.first, m.count = (m.first+1)%meterKept, m.count-1
	}
	m.marks[(m.first+m.count)%meterKept] = mark{now, m.total}
	m.count++
}

// by is how many bytes had left at a time.
func (m *meter) by(at time.Duration) int64 {
	for i := m.count - 1; i >= 0; i-- {
		if k := m.marks[(m.first+i)%meterKept]; k.at <= at {
			return k.total
		}
	}
	return 0
}

// sending is what has been sent lately, in bit/s.
func (m *meter) sending(now time.Duration) float64 {
	from := max(0, now-sentOver)
	if m.count > 0 {
		from = max(from, m.marks[m.first].at)
	}
	if now-from < sentOver/4 {
		return 0
	}
	return float64(8*(m.total-m.by(from))) / (now - from).Seconds()
}
