// Package msgpack reads and writes the part of MessagePack that OpenDHT and Jami use, byte for byte as their C++
// library writes it: every integer in its shortest form, texts as str, blobs as bin, maps in the order given.
//
// Writing is a set of Append functions on a byte slice. Reading is a [Reader] made for input from strangers: counts are
// checked against the bytes that are left before anything is allocated, nesting is bounded, extension types are refused.
package msgpack
