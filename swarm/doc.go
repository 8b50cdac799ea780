// Package swarm keeps the conversations of one Jami account, one device of it,
// and holds them in step with those of the other members: it announces and
// fetches commits, takes invitations and makes them, and serves files. What is damaged
// on our disk it gets from their copies.
//
// A conversation is a git repository (package repo) that travels from device to
// device (package gitwire). The package knows no transport: it is given channels
// and messages by a Network, and is told of those that peers open. docs/jami/swarm.md has
// the protocol.
package swarm
