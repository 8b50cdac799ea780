// Package scenario is what happens to the network of a meeting, and what must be: a table (All) that anyone can read and
// extend, and Play, which has it happen to real browsers at a host, each behind a path of its own (internal/lab/network),
// and judges what a person saw and heard (internal/experience).
//
// In each meeting Ann sends a lively picture, which takes all bits that it is given, and a tone of 1000 Hz; Bob watches and listens.
// Both are Chromiums, unless it is said that Bob is a telephone. They are 20 ms of round trip away from the host until something else is said. Watchers are clients of a
// few lines, over WHEP.
package scenario

import (
	"time"

	"rendezvous/internal/lab/network"
	"rendezvous/internal/netlink"
)

// Scenario is a meeting and what happens to it.
type Scenario struct {
	Name     string  // for the command line: words joined by hyphens
	Title    string  // what happened, and to whom
	Flash    bool    // Ann's camera flashes and her microphone beeps instead, at the same moments
	Watchers int     // how many others there are
	Phone    bool    // Bob is a telephone (baresip), of whom only the packets are looked at
	Skew     float64 // Ann is a client of a few lines, without a camera, whose clock is fast by so many millionths
	Steps    []Step
	Targets  []Target
}

// Step is a part of a scenario.
type Step struct {
	Name  string // by which targets mean it
	For   time.Duration
	Paths []Path // what changes as it begins; all else stays as it was before
}

// Path is a change of somebody's.
type Path struct {
	Who      string // ann, bob, or w1, w2 … of the watchers
	Way      Way
	Settings network.Settings // all of them; without a Delay, the usual one
	Address  int              // they have the address with this last number from now on, instead; 0: the same
}

// Way is a direction, or both.
type Way uint8

// The ways, as seen from the client.
const (
	Down Way = 1 << iota
	Up
	Both = Down | Up
)

// Target is what must be.
type Target struct {
	What  string // is measured
	Unit  string
	Limit float64
	Least bool // Limit is the least, else the most
	// Of is what was; what does not come until the end of a step counts as having taken the whole of it.
	Of func(*Result) float64
}

// Met says whether a measurement is as it must be.
func (t Target) Met(measured float64) bool {
	if t.Least {
		return measured >= t.Limit
	}
	return measured <= t.Limit
}

// delay is the usual one of each direction.
const delay = 10 * time.Millisecond

// kbit is in bit/s.
const kbit = 1000

// link is a path with these settings of the model.
func link(who string, way Way, s netlink.Settings) Path {
	return Path{Who: who, Way: way, Settings: network.Settings{Settings: s}}
}

// open is a path without a limit.
func open(who string, way Way) Path { return link(who, way, netlink.Settings{}) }
