// Package keypad is what callers without a page do with the keys of their telephones: answer
// questions, give the PIN that a room asks for, and give orders in the room. What is said to
// them is spoken, and heard by them alone.
//
// It knows keys and words; how keys travel and calls end is the doors' business.
package keypad
