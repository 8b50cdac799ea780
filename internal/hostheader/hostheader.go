// Package hostheader keeps the pages of others from a server in the browser's own network. Such a page has its name
// resolved to this machine's address (DNS rebinding) and is then of the same origin for the browser, but what the
// browser writes into Host is still that name.
package hostheader

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// special are the domains that nobody can register: RFC 6761, RFC 6762, RFC 8375, and ICANN's "internal".
var special = []string{".localhost", ".local", ".internal", ".home.arpa", ".test"}

// Ours tells whether a Host header can be meant for this machine: an address, which nobody needs to resolve; a name
// without a dot or in a domain that nobody can register; this machine's name; one of the given names.
func Ours(host string, names []string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || !strings.Contains(host, ".") {
		return true
	}
	if slices.ContainsFunc(special, func(domain string) bool { return strings.HasSuffix(host, domain) }) {
		return true
	}
	if own, err := os.Hostname(); err == nil && strings.EqualFold(own, host) {
		return true
	}
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, host) })
}

// Check refuses requests for other hosts than Ours, except where trust says that it does not matter; nil: nowhere.
// advice tells the person what to do about it.
func Check(next http.Handler, names []string, trust func(*http.Request) bool, advice string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if Ours(r.Host, names) || trust != nil && trust(r) {
			next.ServeHTTP(w, r)
			return
		}
		http.Error(w, "this host does not go by that name; "+advice, http.StatusMisdirectedRequest)
	})
}
