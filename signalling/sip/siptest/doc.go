// Package siptest is what tests of the telephones' door need: a door on loopback with rooms to
// call, in the way of net/http/httptest, and a socket that speaks to it in its own words.
package siptest
