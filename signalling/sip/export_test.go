package sip

import (
	"context"

	"github.com/emiago/sipgo/sip"
)

// What tests outside of the package need of its inside.

const MaxUDPSources = maxUDPSources

// UDPSources is how many sources sipgo remembers.
func (d *Door) UDPSources() int { return d.ua.TransportLayer().Pool("udp").Size() }

// Connections is how many TCP and TLS connections are counted, and of how many sources.
func (d *Door) Connections() (all, sources int) { return d.gate.connections.Taken() }

// Messages begins the dialog of an INVITE. What it returns sends a MESSAGE in it, and does not wait
// for the answer.
func (d *Door) Messages(invite *sip.Request) func(context.Context) error {
	g := answering(invite, &sip.ContactHeader{Address: sip.Uri{Scheme: "sip", Host: "127.0.0.1"}})
	return func(ctx context.Context) error {
		_, tx, err := g.send(ctx, d, sip.MESSAGE, func(*sip.Request) {})
		if err == nil {
			tx.Terminate()
		}
		return err
	}
}
