// Package e2e proves the commands for looking into a DHT with a dhtnode of OpenDHT's: it finds what they
// put, and they find and hear it there. It holds tests only.
package e2e
