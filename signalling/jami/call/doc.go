// Package call speaks the call protocol of Jami devices over an open channel: SIP,
// its session descriptions, media over ICE and SRTP, and the conference
// information and orders that a host and its callers exchange: docs/jami/calls.md and
// docs/jami/conference.md.
package call
