package connection

import (
	"runtime"
	"testing"
	"time"

	"rendezvous/dht/identity/identitytest"
	"rendezvous/internal/eventually"
)

// BenchmarkIdleConnection tells what one end of a connection that is up and
// silent costs in memory, and how long making it takes with everything in one
// process.
func BenchmarkIdleConnection(b *testing.B) {
	const devices = 16
	w := newWorld()
	room := w.join(b, accounts()[0], nil)
	var callers []*party
	for _, a := range identitytest.Accounts(devices)() {
		callers = append(callers, w.join(b, a, nil))
	}
	room.HandleChannel("sip", echo)
	memory := func() float64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapInuse + m.StackInuse)
	}
	for b.Loop() {
		before := memory()
		start := time.Now()
		for _, c := range callers {
			ch, err := c.OpenChannel(b.Context(), room.Device(), "sip", "")
			if err != nil {
				b.Fatal(err)
			}
			ch.Close()
		}
		took := time.Since(start)
		b.ReportMetric((memory()-before)/devices/2/1024, "KiB/end")
		b.ReportMetric(took.Seconds()*1000/devices, "ms/connection")
		room.Disconnect(func(Peer) bool { return true })
		eventually.True(b, "all are gone", func() bool { return len(room.Connected()) == 0 })
	}
}
