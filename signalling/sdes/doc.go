// Package sdes has the keys of SRTP as session descriptions carry them: the lines of
// a=crypto (RFC 4568, with the suites of RFC 7714). It reads and writes one line, and
// makes new keys; which line is taken is offer and answer's (package sdp), and what is
// encrypted with it is package srtp's.
//
// A key is in the text that Value makes, and nowhere else: neither an error nor any
// verb of package fmt shows it.
package sdes
