// Package audio is the mix bus of a room: every 20 ms it takes one frame from each
// member that has sound, finds the talkers, mixes them, and gives everybody the mix
// without themselves.
//
// A tick goes: read (slot.go: the member's frame, its level, the detector's verdict), choose
// (mix.go: the loudest of those who talk, with slopes at their edges so that nothing clicks), add (one sum,
// and for each talker the sum without them), plan and encode (output.go), deliver.
//
// All listeners of one format get one packet, encoded once. Who talks, or hears a prompt, has an
// encoder of their own for as long; it starts from a copy of the shared encoder's state, so that
// their decoder notices nothing, and they go back when the two sounds have been equal for a while and
// a quiet moment comes.
//
// The packages below do one thing each: codec, the payloads; jitter, the order and time of packets;
// stretch, small changes of time; talk, who talks; gate, how a background is kept out; howl and echo,
// what is wrong with a microphone (watch.go); receive ties them to a caller's audio input.
package audio
