package web

import (
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"rendezvous/internal/connlimit"
	"rendezvous/internal/sourcenet"
)

// limits bound what may be open at the same time, of one network and in all. Those of sessions are the registry's.
type limits struct {
	connections *connlimit.Limiter // by HTTP, those of WebSockets among them
	media       *connlimit.Limiter // by ICE over TCP
	unjoined    *connlimit.Limiter // WebSockets whose page has not said who comes and where to
}

// tellEvery is how often the log has that something of one kind was turned away, at most. The metrics count all.
const tellEvery = time.Minute

func (d *Door) newLimits() limits {
	of := func(what string, all, ofNetwork int, exempt func(netip.Addr) bool) *connlimit.Limiter {
		return connlimit.New(connlimit.Config{All: all, PerSource: ofNetwork, Exempt: exempt, Refused: d.turnsAway(what), Starved: d.isStarved(what)})
	}
	return limits{
		// A proxy's connections are those of many; whose its WebSockets are it tells.
		connections: of("connections", d.cfg.MaxConnections, d.cfg.MaxConnectionsOfNetwork, d.trusted),
		media:       of("media", d.cfg.MaxConnections, d.cfg.MaxConnectionsOfNetwork, d.trusted),
		unjoined:    of("sockets", d.cfg.MaxUnjoined, d.cfg.MaxUnjoinedOfNetwork, nil),
	}
}

// turnsAway returns what counts and tells that something was not taken.
func (d *Door) turnsAway(what string) func(netip.Addr) {
	count := d.metrics.dropped.WithLabelValues(what)
	seldom := &rate.Sometimes{Interval: tellEvery}
	return func(source netip.Addr) {
		count.Inc()
		seldom.Do(func() {
			d.log.Warn("too many are open, of one network or in all: new ones are turned away", "what", what, "network", sourcenet.Of(source))
		})
	}
}

// isStarved returns what tells that a connection could not be taken.
func (d *Door) isStarved(what string) func(error) {
	seldom := &rate.Sometimes{Interval: tellEvery}
	return func(err error) {
		seldom.Do(func() {
			d.log.Error("nobody can be taken in: the system has no more to give", "what", what, "error", err)
		})
	}
}
