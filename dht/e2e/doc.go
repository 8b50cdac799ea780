// Package e2e proves that our node is one of OpenDHT's: it runs beside dhtnodes and a node of
// OpenDHT's library (python3-opendht), which find what it puts and the other way round, hear of
// it, read what is signed and encrypted, and join through it.
package e2e
