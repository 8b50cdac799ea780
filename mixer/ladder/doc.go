// Package ladder encodes a room's picture: a few qualities (rungs) per codec,
// each made once, however many watch, and only while somebody does.
package ladder
