// Package e2e proves that Jami daemons and our accounts find each other on the DHT, connect, call,
// become contacts, see each other's presence and read each other's backups, also when cables,
// firewalls and the DHT stand in the way.
package e2e
