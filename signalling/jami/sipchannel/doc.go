// Package sipchannel is SIP as Jami devices speak it with each other: messages one after
// the other on a channel named "sip" of a connection (docs/jami/calls.md#sip-on-a-channel). An Exchange has the
// channels of one account, whoever opened them; calls and conversations share them.
package sipchannel
