// Package leg is one caller's media: RTP in to frames and pictures, packets of the
// room's mix out to RTP, and the RTCP loop that adapts both. A leg knows no
// signalling: a door hands it streams that are negotiated and decrypted.
//
// Each stream has a goroutine that reads RTP (and decodes pictures) and one that reads RTCP;
// a leg has one that writes. The mixer's clocks only exchange frames, pictures and packets with
// them through bounded queues, so that no network holds up another caller.
//
// Sound and picture of a caller are not synchronised with each other. On a good path both take
// about as long (44 ms and 34 ms from packet to packet in the mixer's benchmarks), so that they
// stay together. Where the path jitters the sound waits in its jitter buffer and the picture does
// not: the sound is then late by the jitter, which is noticed from about 125 ms (ITU-R BT.1359).
// A lost packet that is sent again holds up the picture by at most 180 ms, until it comes.
// What the caller is sent carries the times of sending, by which their end aligns both.
package leg
