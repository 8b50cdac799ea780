package sip

import (
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// allow are the methods answered here, in the order of the Allow header.
const allow = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, MESSAGE, UPDATE"

// supported are the extensions understood (RFC 3261 §20.37).
const supported = "timer"

// accept are the bodies understood in INVITE and UPDATE.
const accept = "application/sdp"

// The methods of RFC 3261 and its extensions: they are known, if not allowed.
var knownMethods = []sip.RequestMethod{
	sip.REGISTER, sip.SUBSCRIBE, sip.NOTIFY, sip.REFER, sip.PUBLISH, sip.PRACK,
}

// handle takes every request that sipgo could parse.
func (d *Door) handle(req *sip.Request, tx sip.ServerTransaction) {
	method := string(req.Method)
	if !strings.Contains(allow, method) && !slices.Contains(knownMethods, req.Method) {
		method = "other" // names from the network must not become labels
	}
	d.metrics.requests.WithLabelValues(method).Inc()
	source := sourceAddr(req.Source())
	if d.scanner(req) {
		d.metrics.dropped.WithLabelValues("scanner").Inc()
		return
	}
	if sip.IsReliable(req.Transport()) && !d.gate.limiter.allow(source, classOf(req.Method), time.Now()) {
		d.metrics.dropped.WithLabelValues("flood").Inc()
		return
	}
	if req.IsAck() {
		if c := d.find(req); c != nil {
			c.acknowledged(req)
		}
		return
	}
	if f := d.faultOf(req); f != nil {
		d.reject(req, tx, *f)
		return
	}
	switch req.Method {
	case sip.INVITE:
		d.invite(req, tx)
	case sip.CANCEL:
		// sipgo takes those that match a transaction.
		d.reject(req, tx, fault{code: 481, text: "Call/Transaction Does Not Exist", reason: "no-call"})
	case sip.OPTIONS:
		d.options(req, tx)
	case sip.BYE, sip.INFO, sip.UPDATE, sip.MESSAGE, sip.REFER, sip.PRACK:
		d.inDialog(req, tx)
	default:
		code, text := 405, "Method Not Allowed"
		if !slices.Contains(knownMethods, req.Method) {
			code, text = 501, "Not Implemented"
		}
		d.reject(req, tx, fault{code: code, text: text, reason: "method",
			headers: []sip.Header{sip.NewHeader("Allow", allow)}})
	}
}

func classOf(m sip.RequestMethod) class {
	switch m {
	case sip.INVITE:
		return classInvite
	case sip.OPTIONS:
		return classOptions
	}
	return classOther
}

// scanner reports whether the request comes from a program that tries doors.
func (d *Door) scanner(req *sip.Request) bool {
	agent := headerValue(req, "User-Agent")
	if from := req.From(); from != nil {
		agent += " " + from.DisplayName
	}
	agent = strings.ToLower(agent)
	return slices.ContainsFunc(d.cfg.Scanners, func(s string) bool {
		return s != "" && strings.Contains(agent, strings.ToLower(s))
	})
}

// fault is why a request is refused.
type fault struct {
	code    int
	text    string
	reason  string // for metrics
	headers []sip.Header
}

func badHeader(what string) *fault {
	return &fault{code: 400, text: "Bad Request: " + what, reason: "malformed"}
}

// faultOf checks what RFC 3261 §8.2 wants of every request.
func (d *Door) faultOf(req *sip.Request) *fault {
	if req.SipVersion != "SIP/2.0" {
		return &fault{code: 505, text: "Version Not Supported", reason: "malformed"}
	}
	for _, name := range []string{"From", "To", "Call-ID", "CSeq"} {
		switch n := len(req.GetHeaders(name)); {
		case n == 0:
			return badHeader("missing " + name)
		case n > 1:
			return badHeader("several " + name)
		}
	}
	for _, name := range []string{"Max-Forwards", "Content-Length", "Content-Type"} {
		if len(req.GetHeaders(name)) > 1 {
			return badHeader("several " + name)
		}
	}
	if req.From() == nil || req.To() == nil || req.CallID() == nil || req.CSeq() == nil || req.Via() == nil {
		return badHeader("unreadable header")
	}
	if !strings.EqualFold(string(req.CSeq().MethodName), string(req.Method)) { // sipgo writes methods in capitals
		return badHeader("CSeq method does not match")
	}
	if h := req.MaxForwards(); h != nil && h.Val() > 255 {
		return badHeader("Max-Forwards")
	}
	if s := req.Recipient.Scheme; s != "sip" && s != "sips" {
		return &fault{code: 416, text: "Unsupported URI Scheme", reason: "malformed"}
	}
	if len(req.Recipient.Headers) > 0 { // RFC 3261 §19.1.1
		return badHeader("header in Request-URI")
	}
	// A user agent server ignores Require in CANCEL (RFC 3261 §8.2.2.3).
	if unknown := missingExtensions(req); len(unknown) > 0 && req.Method != sip.CANCEL {
		return &fault{code: 420, text: "Bad Extension", reason: "extension",
			headers: []sip.Header{sip.NewHeader("Unsupported", strings.Join(unknown, ", "))}}
	}
	return bodyFault(req)
}

func missingExtensions(req *sip.Request) []string {
	var unknown []string
	for _, h := range req.GetHeaders("Require") {
		for tag := range strings.SplitSeq(h.Value(), ",") {
			if tag = strings.TrimSpace(tag); tag != "" && !strings.EqualFold(tag, supported) {
				unknown = append(unknown, tag)
			}
		}
	}
	return unknown
}

// bodyFault checks type and encoding of a body (RFC 3261 §8.2.3).
func bodyFault(req *sip.Request) *fault {
	if len(req.Body()) == 0 {
		return nil
	}
	if e := headerValue(req, "Content-Encoding", "e"); e != "" && !strings.EqualFold(e, "identity") {
		return &fault{code: 415, text: "Unsupported Media Type", reason: "body",
			headers: []sip.Header{sip.NewHeader("Accept-Encoding", "identity")}}
	}
	kind, optional := mediaType(req), false
	if disposition := headerValue(req, "Content-Disposition"); strings.Contains(disposition, "handling=optional") {
		optional = true
	}
	want := ""
	switch req.Method {
	case sip.INVITE, sip.UPDATE:
		if kind != accept && kind != "multipart/mixed" && kind != "multipart/alternative" {
			want = accept
		}
	case sip.MESSAGE:
		if kind != "text/plain" {
			want = "text/plain"
		}
	case sip.INFO:
		if _, known := infoBodies[kind]; !known {
			want = infoAccept
		}
	}
	if want == "" || optional {
		return nil
	}
	return &fault{code: 415, text: "Unsupported Media Type", reason: "body",
		headers: []sip.Header{sip.NewHeader("Accept", want)}}
}

// mediaType is the Content-Type without parameters, in lower case.
func mediaType(msg sip.Message) string {
	kind, _, _ := strings.Cut(headerValue(msg, "Content-Type", "c"), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// headerValue is the first value under one of the names, "" if there is none.
func headerValue(msg sip.Message, names ...string) string {
	for _, name := range names {
		if list := msg.GetHeaders(name); len(list) > 0 {
			return list[0].Value()
		}
	}
	return ""
}

// hasToken reports whether a comma-separated header lists a token.
func hasToken(msg sip.Message, token string, names ...string) bool {
	for _, name := range names {
		for _, h := range msg.GetHeaders(name) {
			for t := range strings.SplitSeq(h.Value(), ",") {
				if strings.EqualFold(strings.TrimSpace(t), token) {
					return true
				}
			}
		}
	}
	return false
}

// reject answers with an error.
func (d *Door) reject(req *sip.Request, tx sip.ServerTransaction, f fault) {
	d.metrics.rejected.WithLabelValues(f.reason).Inc()
	d.log.Debug("request refused", "method", req.Method, "from", req.Source(), "code", f.code, "text", f.text)
	d.respond(req, tx, d.response(req, f.code, f.text, f.headers...))
}

// response makes an answer with the headers that all of ours have.
func (d *Door) response(req *sip.Request, code int, text string, headers ...sip.Header) *sip.Response {
	res := sip.NewResponseFromRequest(req, code, text, nil)
	res.SipVersion = "SIP/2.0" // whatever the request's was
	res.AppendHeader(sip.NewHeader("Server", d.cfg.Agent))
	for _, h := range headers {
		res.AppendHeader(h)
	}
	return res
}

func (d *Door) respond(req *sip.Request, tx sip.ServerTransaction, res *sip.Response) {
	if err := tx.Respond(res); err != nil {
		d.log.Debug("answer not sent", "method", req.Method, "to", req.Source(), "code", res.StatusCode, "error", err)
	}
}

// options answers as an INVITE would be (RFC 3261 §11.2).
func (d *Door) options(req *sip.Request, tx sip.ServerTransaction) {
	if _, inside := req.To().Params.Get("tag"); inside {
		if d.find(req) == nil {
			d.reject(req, tx, noCall)
			return
		}
	} else if d.isDraining() {
		d.reject(req, tx, drainingFault)
		return
	} else if _, f := d.destination(req); f != nil {
		d.reject(req, tx, *f)
		return
	}
	d.respond(req, tx, d.response(req, 200, "OK",
		sip.NewHeader("Allow", allow),
		sip.NewHeader("Accept", accept),
		sip.NewHeader("Accept-Encoding", "identity"),
		sip.NewHeader("Accept-Language", "en"),
		sip.NewHeader("Supported", supported)))
}

var (
	noCall        = fault{code: 481, text: "Call/Transaction Does Not Exist", reason: "no-call"}
	drainingFault = fault{code: 503, text: "Service Unavailable", reason: "draining",
		headers: []sip.Header{sip.NewHeader("Retry-After", "120")}}
	busyFault = fault{code: 503, text: "Service Unavailable", reason: "too-many-calls",
		headers: []sip.Header{sip.NewHeader("Retry-After", "30")}}
)
