// Package srtp encrypts and decrypts the packets of one medium (RFC 3711) with keys
// that session descriptions have exchanged (package sdes), one of which takes the
// place of another while packets flow. It opens no sockets; whether a medium is
// encrypted at all, and its reports too, is the door's decision.
package srtp
