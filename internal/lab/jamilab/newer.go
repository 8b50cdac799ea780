package jamilab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/godbus/dbus/v5"
)

// Daemons of today can be put in the place of Debian's (JAMILAB_JAMID, lab.sh). They
// call some of their methods and signals otherwise; tests use the older names.

// asNow is how newer daemons want a method called, if otherwise than older ones.
func asNow(method string, args []any) (string, []any, bool) {
	switch method {
	case "CallManager.unhold":
		return "CallManager.resume", args, true
	case "ConfigurationManager.exportToFile": // account, file, password
		scheme := "password"
		if args[2] == "" {
			scheme = ""
		}
		return method, []any{args[0], args[1], scheme, args[2]}, true
	}
	return "", nil, false
}

// newer tells whether the daemon is such a one.
func (p *Peer) newer(ctx context.Context) (bool, error) {
	var xml string
	err := p.bus.Object(busName, objectPath+"CallManager").CallWithContext(ctx, "org.freedesktop.DBus.Introspectable.Introspect", 0).Store(&xml)
	if err != nil {
		return false, fmt.Errorf("jamilab: %s: what it understands: %w", p.name, err)
	}
	return strings.Contains(xml, `"resume"`), nil
}

// isUnknown tells that a daemon has no such method, or not with such arguments.
func isUnknown(err error) bool {
	var e dbus.Error
	return errors.As(err, &e) && (e.Name == "org.freedesktop.DBus.Error.UnknownMethod" || e.Name == "org.freedesktop.DBus.Error.InvalidArgs")
}

// asBefore turns a newer daemon's signal into the older one. Of that of a message the
// third argument is the message's fields; an edit changes the message itself.
func asBefore(s Signal) Signal {
	switch {
	case s.Name == "incomingCall":
		s.Name = "incomingCallWithMedia"
	case s.Name == "conferenceCreated" && len(s.Args) == 3: // with the conversation, if it is of one
		s.Args = []any{s.Args[0], s.Args[2]}
	}
	if s.Name != "swarmMessageReceived" && s.Name != "swarmMessageUpdated" || len(s.Args) < 3 {
		return s
	}
	m, ok := s.Args[2].([]any) // id, type, parent, fields, …
	if !ok || len(m) < 4 {
		return s
	}
	fields, ok := m[3].(map[string]string)
	if !ok {
		return s
	}
	if s.Name == "swarmMessageUpdated" {
		fields = maps.Clone(fields)
		fields["edit"] = fields["id"]
	}
	return Signal{s.Time, "messageReceived", []any{s.Args[0], s.Args[1], fields}}
}
