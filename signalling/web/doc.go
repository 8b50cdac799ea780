// Package web is the browsers' way into the rooms: the meeting page and its
// signalling, WHIP (RFC 9725) for what publishes, WHEP for what watches, and the
// control API. It is a conference.Door.
//
// Media is signalling/web/rtc's, the page's files are signalling/web/page's, and the
// control API is signalling/web/control's; this package is who comes in and who
// goes out.
package web
