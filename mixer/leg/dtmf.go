package leg

// keys are the telephone-events 0 to 15 (RFC 4733 §3.2).
const keys = "0123456789*#ABCD"

// dtmf reads telephone-events. Each event is sent in several packets of the same
// timestamp; it is reported once, at its first packet.
type dtmf struct {
	heard     bool
	timestamp uint32
}

// push reads one event payload and returns the key if a new event begins with it.
func (d *dtmf) push(timestamp uint32, payload []byte) (key rune, ok bool) {
	if len(payload) < 4 || int(payload[0]) >= len(keys) {
		return 0, false
	}
	if d.heard && d.timestamp == timestamp {
		return 0, false
	}
	// The end packets of an event may come after the next event has begun (reordering).
	if d.heard && int32(timestamp-d.timestamp) < 0 && int32(timestamp-d.timestamp) > -48000 {
		return 0, false
	}
	d.heard, d.timestamp = true, timestamp
	return rune(keys[payload[0]]), true
}
