package network

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// End is a device that a cable has in a namespace that is there already.
type End struct{ Namespace, Device string }

// Cable is an Ethernet cable between two namespaces, for laboratories that have a bridge: both directions are set as those of a
// Link are.
type Cable struct {
	Up, Down *Direction // from the first end to the other, and back
	relay    *relay
}

// ethernet is the length of a frame's header.
const ethernet = 14

// NewCable makes both devices, which have neither an address nor a bridge yet and are up. Close takes them away.
func NewCable(seed uint64, a, b End) (*Cable, error) {
	c, err := newCable(seed, a, b)
	if err != nil {
		return nil, fmt.Errorf("network: cable: %w", err)
	}
	for _, e := range []End{a, b} {
		if err := ip("-n", e.Namespace, "link", "set", e.Device, "up", "txqueuelen", "2000"); err != nil {
			return nil, errors.Join(fmt.Errorf("network: cable: %w", err), c.Close())
		}
	}
	return c, nil
}

func newCable(seed uint64, a, b End) (*Cable, error) {
	first, err := openDevice(a.Namespace, a.Device, unix.IFF_TAP)
	if err != nil {
		return nil, err
	}
	second, err := openDevice(b.Namespace, b.Device, unix.IFF_TAP)
	if err != nil {
		syscall.Close(first)
		return nil, err
	}
	r, err := newRelay()
	if err != nil {
		syscall.Close(first)
		syscall.Close(second)
		return nil, err
	}
	c := &Cable{relay: r}
	c.Up, c.Down = r.add(first, second, ethernet, seed)
	r.start()
	return c, nil
}

// Late is as that of a Net.
func (c *Cable) Late() (p50, p99 time.Duration) { return c.relay.lateness() }

// Close takes the cable away.
func (c *Cable) Close() error { return c.relay.close() }
