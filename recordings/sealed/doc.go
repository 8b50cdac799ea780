// Package sealed is a file format for encryption at rest: authenticated, readable from
// any place, and written from front to back, so that a crash costs no more than its end.
//
// A file is a header and chunks.
//
//	header   8 bytes  "RVSEAL", 0, version 1
//	         8 bytes  key id: HKDF-SHA256(key, no salt, "rendezvous sealed key id")
//	        16 bytes  salt, random
//	chunk    4096 bytes of the clear text, encrypted, then 16 bytes of tag
//	…
//	last     0 to 4095 bytes of the clear text, encrypted, then 16 bytes of tag
//
// A chunk is encrypted with AES-256-GCM. Its key is the file's own, HKDF-SHA256(key,
// salt, "rendezvous sealed file"); its nonce is 3 zero bytes, the number of the chunk
// as 64 bits in network order, and a byte that is 1 in the last chunk and else 0; its
// additional data is the header. So no chunk can be changed, moved within a file or to
// another one, or be left out, and a file without its end is known as such.
//
// The last chunk is always a short one, and no other is. A file that a crash cut off
// has none: what it holds are its whole chunks (NewPartialReader), and Finish writes
// the last one. A complete file is never finished a second time, as no nonce must be
// used twice.
//
// The chunks are as small as this because a chunk is only written when it is full: at
// the 4 kB a second of a meeting without pictures, a crash costs a second more than in
// the clear. What is not hidden: sizes, times, and which files share a key.
package sealed
