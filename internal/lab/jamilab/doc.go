// Package jamilab is the laboratory of real Jami daemons that tests run
// against: unmodified jamids (Debian's jami-daemon), each in its own network
// namespace with its own D-Bus and PulseAudio, a dhtnode, a bridge between
// them, and a namespace "app" for the program under test. Nothing leaves the
// bridge.
//
// It needs root, and the Debian packages jami-daemon, dhtnode, dbus, dbus-bin,
// iproute2, and pulseaudio for sound. lab.sh makes the network and starts the
// processes; the Go side drives the daemons over D-Bus. JAMILAB_JAMID names
// another daemon to take, and JAMILAB_IPV6=1 gives the network IPv6 as well.
package jamilab
