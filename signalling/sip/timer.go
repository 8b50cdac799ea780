package sip

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"rendezvous/signalling/sdp"
)

// sessionTimer is the state of RFC 4028 for one call.
type sessionTimer struct {
	mu       sync.Mutex // guards what follows
	interval time.Duration
	ours     bool // we refresh
	peer     bool // the peer knows session timers
	last     time.Time
}

// sessionExpires reads Session-Expires ("1800;refresher=uas").
func sessionExpires(msg sip.Message) (interval time.Duration, refresher string, ok bool) {
	value := headerValue(msg, "Session-Expires", "x")
	if value == "" {
		return 0, "", false
	}
	seconds, params, _ := strings.Cut(value, ";")
	n, err := strconv.ParseUint(strings.TrimSpace(seconds), 10, 31)
	if err != nil {
		return 0, "", false
	}
	for p := range strings.SplitSeq(params, ";") {
		if k, v, _ := strings.Cut(strings.TrimSpace(p), "="); strings.EqualFold(k, "refresher") {
			refresher = strings.ToLower(strings.TrimSpace(v))
		}
	}
	return time.Duration(n) * time.Second, refresher, true
}

// intervalFault refuses session timers that are too short.
func intervalFault(req *sip.Request, minimum time.Duration) *fault {
	if interval, _, ok := sessionExpires(req); ok && interval < minimum && hasToken(req, "timer", "Supported", "k") {
		return &fault{code: 422, text: "Session Interval Too Small", reason: "timer",
			headers: []sip.Header{sip.NewHeader("Min-SE", strconv.Itoa(int(minimum.Seconds())))}}
	}
	return nil
}

// startTimer decides on the session timer of a call that came in.
func (c *call) startTimer(req *sip.Request) {
	t := &c.timer
	t.mu.Lock()
	defer t.mu.Unlock()
	t.peer = hasToken(req, "timer", "Supported", "k")
	interval, refresher, asked := sessionExpires(req)
	if !asked {
		if interval = c.door.cfg.SessionExpires; !t.peer {
			interval = 0 // it could not refresh, and lost media end the call anyway
		}
	}
	t.interval = max(interval, 0)
	// A peer that does not know timers cannot refresh (RFC 4028 §9).
	t.ours = refresher == "uas" || !t.peer
	t.last = c.door.cfg.Now()
}

// restart notes a refresh by the peer, who may change the interval with it.
func (t *sessionTimer) restart(req *sip.Request, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = now
	if interval, refresher, ok := sessionExpires(req); ok {
		t.interval = interval
		t.ours = refresher == "uas"
	}
}

// timerHeaders are those of an answer to INVITE or UPDATE.
func (c *call) timerHeaders() []sip.Header {
	t := &c.timer
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.interval == 0 {
		return nil
	}
	refresher := "uac"
	if t.ours {
		refresher = "uas"
	}
	h := []sip.Header{sip.NewHeader("Session-Expires",
		strconv.Itoa(int(t.interval.Seconds()))+";refresher="+refresher)}
	if !t.ours {
		h = append(h, sip.NewHeader("Require", "timer"))
	}
	return h
}

// due reports whether it is time for us to refresh, or too late.
func (t *sessionTimer) due(now time.Time) (refresh, expired bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.interval == 0 {
		return false, false
	}
	elapsed := now.Sub(t.last)
	// The end comes a little before the interval is over (RFC 4028 §10).
	if elapsed > t.interval-min(32*time.Second, t.interval/3) {
		return false, true
	}
	return t.ours && elapsed > t.interval/2, false
}

// refreshTimeout bounds the wait for an answer to a refresh.
const refreshTimeout = 32 * time.Second

// refresh renews the session: by UPDATE where the peer takes it, else by re-INVITE.
func (c *call) refresh() {
	ctx, cancel := context.WithTimeout(c.over, refreshTimeout)
	defer cancel()
	var res *sip.Response
	var err error
	if c.dialog.may(sip.UPDATE) {
		res, err = c.dialog.do(ctx, c.door, sip.UPDATE, c.appendTimer)
	} else {
		res, err = c.offerAgain(ctx)
	}
	t := &c.timer
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err == nil && res.IsSuccess():
		t.last = c.door.cfg.Now()
		if interval, _, ok := sessionExpires(res); ok {
			t.interval = interval
		}
	case err == nil && (res.StatusCode == 481 || res.StatusCode == 408):
		c.end(errUnreachable)
	case err == nil && res.StatusCode == 422:
		if n, e := strconv.ParseUint(headerValue(res, "Min-SE"), 10, 31); e == nil {
			t.interval = max(t.interval, time.Duration(n)*time.Second)
		}
	default:
		// 491 and lost answers: the next tick tries again until the timer runs out.
		c.log.Debug("session not refreshed", "error", err)
	}
}

func (c *call) appendTimer(req *sip.Request) {
	c.timer.mu.Lock()
	defer c.timer.mu.Unlock()
	req.AppendHeader(sip.NewHeader("Supported", supported))
	req.AppendHeader(sip.NewHeader("Session-Expires",
		strconv.Itoa(int(c.timer.interval.Seconds()))+";refresher=uac"))
}

// offerAgain sends a re-INVITE with what is agreed already.
func (c *call) offerAgain(ctx context.Context) (*sip.Response, error) {
	c.negotiation.Lock()
	if err := c.offer(sdp.Repeat(c.agreed)); err != nil {
		c.negotiation.Unlock()
		return nil, err
	}
	body := c.takeBody()
	c.negotiation.Unlock()
	res, err := c.inviteAndAck(ctx, func(req *sip.Request) {
		req.AppendHeader(sip.NewHeader("Allow", allow))
		req.AppendHeader(sip.NewHeader("Content-Type", accept))
		c.appendTimer(req)
		req.SetBody(body)
	})
	c.negotiation.Lock()
	defer c.negotiation.Unlock()
	if err != nil || !res.IsSuccess() {
		c.offered = nil
		return res, err
	}
	answer, err := description(res)
	if err != nil || answer == nil {
		c.offered = nil
		return res, err
	}
	return res, c.answered(answer)
}
