package call

import (
	"strings"

	"github.com/emiago/sipgo/sip"
)

// forUs reports whether a call is meant for this account and device. Jami devices write the
// account, or nothing; to join a conference that a conversation has announced they name
// conversation, account, device and conference (docs/jami/conference.md#calls-of-conversations). All calls of the
// account meet in the same room, whatever the conference is called.
func forUs(user, account, device string) bool {
	f := strings.Split(user, "/")
	switch len(f) {
	case 1:
		return user == "" || strings.EqualFold(user, account)
	case 4:
		return strings.EqualFold(f[1], account) && strings.EqualFold(f[2], device)
	}
	return false
}

// replaced is the dialog that a Replaces header names (RFC 3891 §6.1).
type replaced struct{ call, to, from string }

// parseReplaces reads a request's Replaces header; ok is false if there is one that cannot be
// read, and the zero value is returned if there is none.
func parseReplaces(r *sip.Request) (d replaced, ok bool) {
	h := r.GetHeader("Replaces")
	if h == nil {
		return d, true
	}
	for i, f := range strings.Split(h.Value(), ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(f), "=")
		switch {
		case i == 0:
			d.call = name
		case strings.EqualFold(name, "to-tag"):
			d.to = value
		case strings.EqualFold(name, "from-tag"):
			d.from = value
		}
	}
	return d, d.call != "" && d.to != "" && d.from != ""
}

// matches reports whether the call is the dialog that is to be replaced.
func (c *Call) matches(d replaced) bool {
	c.seqMu.Lock()
	defer c.seqMu.Unlock()
	if c.id != d.call || c.localTag != d.to || c.dialog.To == nil {
		return false
	}
	tag, _ := c.dialog.To.Params.Get("tag")
	return tag == d.from
}
