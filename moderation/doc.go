// Package moderation knows the roles of a meeting, the orders that can be given
// in it, and the rule who may give which order about whom. It is pure: no I/O, no
// clocks, no knowledge of rooms' insides. conference carries out what it allows.
package moderation
