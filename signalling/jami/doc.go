// Package jami is the door for Jami devices: every room is an account on the Jami
// network, found through the DHT without any server, and whoever dials it is in.
package jami
