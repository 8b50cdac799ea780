package call

import "rendezvous/signalling/sdes"

// suite is the one that jamid writes (spec/calls.md §3.1).
const suite = sdes.AES128CM80

// newMaster makes a key for one medium and direction.
func newMaster() sdes.Crypto { return sdes.New(1, suite) }
