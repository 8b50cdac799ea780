package sip

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"rendezvous/internal/clocktest"
	"rendezvous/mixer/leg"
)

// terse is a phone that sends a packet now and then, as those do that are silent in pauses.
type terse struct {
	packets chan []byte
	gone    chan struct{}
}

func (p *terse) ReadRTP(b []byte) (int, error) {
	select {
	case packet := <-p.packets:
		return copy(b, packet), nil
	case <-p.gone:
		return 0, net.ErrClosed
	}
}

func (p *terse) OnRTCP(func([]rtcp.Packet, error)) {}

func (*terse) WriteRTP(*rtp.Header, []byte) error { return nil }
func (*terse) WriteRTCP([]rtcp.Packet) error      { return nil }

// Somebody sets the system's clock while people phone: no call ends by that, neither for want of packets nor by
// its session timer, and one that has gone silent still ends in its time.
func TestCallsOutliveASetClock(t *testing.T) {
	clock := clocktest.New()
	synctest.Test(t, func(t *testing.T) {
		d := &Door{cfg: Default()}
		d.cfg.Now = clock.Now
		c := &call{door: d, leg: leg.New(leg.Config{Now: clock.Now}), began: clock.Now(),
			timer: sessionTimer{interval: 30 * time.Minute, last: clock.Now()}}
		c.over, c.end = context.WithCancelCause(t.Context())
		phone := &terse{make(chan []byte), make(chan struct{})}
		pcmu := leg.Codec{Name: "PCMU", ClockRate: 8000, Channels: 1}
		if _, err := c.leg.Attach(leg.Media{Kind: leg.Audio, Transport: phone, Receive: []leg.Codec{pcmu}, SSRC: 1}); err != nil {
			t.Fatal(err)
		}
		var watching sync.WaitGroup
		watching.Go(c.watch)
		defer func() {
			c.end(errOver)
			watching.Wait()
			close(phone.gone)
			c.leg.Close()
		}()
		packet := rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 2}, Payload: make([]byte, 160)}
		for _, step := range []time.Duration{0, 40 * time.Second, -time.Minute, time.Hour, -2 * time.Hour, 400 * 24 * time.Hour} {
			for i := range 8 { // half a minute
				packet.SequenceNumber++
				packet.Timestamp += 4 * 8000
				raw, err := packet.Marshal()
				if err != nil {
					t.Fatal(err)
				}
				phone.packets <- raw
				time.Sleep(2 * time.Second)
				if i == 4 {
					clock.Step(step)
				}
				time.Sleep(2 * time.Second)
			}
			if err := context.Cause(c.over); err != nil {
				t.Fatalf("with a step of %v the call ends: %v", step, err)
			}
		}
		clock.Step(-time.Hour)
		silent := time.Now().Add(-4 * time.Second)
		<-c.over.Done()
		limit := d.cfg.MediaTimeout
		if took := time.Since(silent); !errors.Is(context.Cause(c.over), errTimedOut) || took < limit || took > limit+2*time.Second {
			t.Errorf("a silent call ends after %v: %v", took, context.Cause(c.over))
		}
	})
}
