// Package connection gives one Jami device its connections to other devices:
// found and asked for over the DHT, made with ICE over TCP, authenticated and
// encrypted with TLS, and shared by any number of named channels.
//
// An [Endpoint] is one device of ours. It answers the requests of others,
// keeps the connections it has, opens channels over them (and a connection
// first, if there is none), and hands the channels that peers open to
// whoever registered for their name. Who a [Peer] is has been proven by the
// time anybody sees it: the device by its key in the TLS handshake, the account
// by the chain of certificates presented there.
//
// The parts are packages of their own: icetcp, tlsconn, mux. docs/jami/connection.md has the
// protocol.
package connection
