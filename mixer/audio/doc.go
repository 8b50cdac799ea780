// Package audio is the mix bus of a room: it takes one 20 ms frame from every
// member that has sound, finds the talkers, and gives everybody the mix without
// himself. All listeners of one format share one encode.
package audio
