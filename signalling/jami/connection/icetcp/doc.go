// Package icetcp is an ICE agent for one component over TCP (RFC 6544 on RFC
// 5245 full agents), as Jami devices use it to connect to each other: all
// candidates travel in one text message, both sides open connections and
// check, the controlling side nominates one of them, and every message on it,
// then and for ever after, is preceded by its 16-bit length (RFC 4571).
//
// An Agent serves one attempt. It listens on a Listener that many attempts
// share (one port for all of them; the USERNAME of a connection's first check
// says which attempt it belongs to), and Connect yields the nominated
// connection as a net.Conn that still answers checks and keep-alives in
// between the data.
package icetcp
