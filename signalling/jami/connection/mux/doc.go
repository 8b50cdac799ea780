// Package mux carries many named channels over one connection, as Jami's
// multiplexed socket does: a stream of MessagePack arrays [channel, data],
// where channel 0 asks for, accepts and declines channels by name, channel
// 65535 tells versions and asks "are you there?", and every other number is a
// byte stream that an object without data ends.
//
// The protocol has no flow control. So a Session never lets one channel hold
// up the others: each has a bounded buffer, a reader that falls behind slows
// the sender only for a moment, and a channel whose reader has stopped is
// ended.
package mux
