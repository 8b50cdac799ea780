package sip

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// head is the head of a SIP message: its lines, the folded ones put together. It is made of anything that comes, and
// refuses nothing.
type head struct {
	start  string
	fields []field
}

// field is one header field.
type field struct {
	line string // as it came
	name string // in lower case, and the long form
	at   int    // where in the line its value begins
}

func (f *field) value() string { return strings.TrimSpace(f.line[f.at:]) }

// longForms are the compact names of the fields that are looked at here (RFC 3261 §7.3.3).
var longForms = map[string]string{
	"v": "via", "f": "from", "t": "to", "m": "contact", "i": "call-id", "l": "content-length",
}

var fold = regexp.MustCompile(`[ \t]*\r\n[ \t]+`)

const endOfHead = "\r\n\r\n"

// headOf reads the lines of a message up to the empty one, or all if there is none.
func headOf(message []byte) head {
	b, _, _ := bytes.Cut(message, []byte(endOfHead))
	start, rest, found := strings.Cut(string(b), "\r\n")
	h := head{start: start}
	if !found {
		return h
	}
	for line := range strings.SplitSeq(fold.ReplaceAllLiteralString(rest, " "), "\r\n") {
		name, _, ok := strings.Cut(line, ":")
		f := field{line: line}
		if ok {
			f.at = len(name) + 1
			f.name = strings.ToLower(strings.TrimSpace(name))
			if long, compact := longForms[f.name]; compact {
				f.name = long
			}
		}
		h.fields = append(h.fields, f)
	}
	return h
}

// first is the value of the first field of a name, "" if there is none.
func (h *head) first(name string) string {
	for i := range h.fields {
		if h.fields[i].name == name {
			return h.fields[i].value()
		}
	}
	return ""
}

// contentLength is the length of the body; not ok where the message does not say, or says it twice.
func (h *head) contentLength() (n int, ok bool) {
	for i := range h.fields {
		if h.fields[i].name != "content-length" {
			continue
		}
		v, err := strconv.ParseUint(h.fields[i].value(), 10, 31)
		if err != nil || ok {
			return 0, false
		}
		n, ok = int(v), true
	}
	return n, ok
}

// separators are the characters that white space may stand around, and sipgo's parser wants none, outside of quotes
// and angle brackets (SEMI, EQUAL, COMMA, SLASH and COLON of RFC 3261 §25.1). The fields that are not here it takes
// as they are.
var separators = map[string]string{
	"via": ";=,/:", "from": ";=,", "to": ";=,", "contact": ";=,", "route": ";=,", "record-route": ";=,", "cseq": "",
}

// readable is a message from an address with the liberties of RFC 3261 and of RFC 2543 taken out of its head that
// sipgo does not understand: white space where it may be, and transactions without a mark.
func readable(message []byte, source netip.Addr) []byte {
	end := bytes.Index(message, []byte(endOfHead))
	if end < 0 {
		return message
	}
	h := headOf(message)
	for i := range h.fields {
		f := &h.fields[i]
		if around, ok := separators[f.name]; ok {
			if v := squeezed(f.value(), around); v != f.value() {
				f.line = f.line[:f.at] + " " + v
			}
		}
	}
	if !isResponse(h.start) {
		h.stamp(source)
	}
	var out bytes.Buffer
	out.WriteString(h.start)
	for i := range h.fields {
		out.WriteString("\r\n" + h.fields[i].line)
	}
	out.Write(message[end:])
	return out.Bytes()
}

// squeezed is a header field's value without white space around the separators and with one space where there is
// more, both outside of quoted strings and of angle brackets.
func squeezed(s, separators string) string {
	var out strings.Builder
	separates := func(c byte) bool { return strings.IndexByte(separators, c) >= 0 }
	var last, closing byte // what was written; what ends the quotes or brackets that we are in, 0 outside
	space := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case closing != 0:
			if c == '\\' && closing == '"' && i+1 < len(s) { // a quoted pair
				out.WriteByte(c)
				i++
				c = s[i]
			} else if c == closing {
				closing = 0
			}
		case c == ' ' || c == '\t':
			space = true
			continue
		default:
			if space && !separates(last) && !separates(c) {
				out.WriteByte(' ')
			}
			switch c {
			case '"':
				closing = '"'
			case '<':
				closing = '>'
			}
		}
		space = false
		out.WriteByte(c)
		last = c
	}
	return out.String()
}

// received is the parameter of a Via that says where its message came from.
var received = regexp.MustCompile(`(?i);received=[^;]*`)

// stamp completes the topmost Via of a request.
//
// It is told where it came from (RFC 3261 §18.2.1), whatever it says itself: where a connection is gone, sipgo
// connects for its answer to what the Via names, and that must be nobody else.
//
// It gets a branch where transactions have nothing to be told apart by: sipgo wants one or, as RFC 3261 §17.2.3 does
// for clients of RFC 2543, the tag in From, which the older of them do not have either. What a server adds to the
// Via goes back with the answer and does no harm.
func (h *head) stamp(source netip.Addr) {
	for i := range h.fields {
		f := &h.fields[i]
		if f.name != "via" {
			continue
		}
		newest, older, more := strings.Cut(f.value(), ",")
		if newest == "" {
			return
		}
		newest = received.ReplaceAllLiteralString(newest, "")
		if from := h.first("from"); !strings.Contains(strings.ToLower(newest), ";branch") && !strings.Contains(strings.ToLower(from), ";tag=") {
			number, _, _ := strings.Cut(h.first("cseq"), " ") // ACK and CANCEL have that of their INVITE
			key := fnv.New64a()
			for _, s := range []string{newest, from, h.first("call-id"), number} {
				key.Write([]byte(s + "\x00"))
			}
			newest = fmt.Sprintf("%s;branch=%s%x", newest, sip.RFC3261BranchMagicCookie, key.Sum64())
		}
		f.line = f.line[:f.at] + " " + newest + ";received=" + source.String()
		if more {
			f.line += "," + older
		}
		return
	}
}

// scheme is that of a URI (RFC 3986 §3.1).
var scheme = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*:`)

func isResponse(start string) bool {
	return len(start) >= 4 && strings.EqualFold(start[:4], "SIP/")
}

// badRequest makes a 400 for a request that cannot be parsed from those of its lines
// that can be recognised; nil if there is nobody to answer.
func badRequest(b []byte, from netip.AddrPort) []byte {
	h := headOf(b)
	first := strings.Fields(h.start)
	if len(first) < 2 || first[0] == "ACK" || isResponse(h.start) ||
		!strings.HasPrefix(first[len(first)-1], "SIP/") {
		return nil
	}
	var via []string
	found := make(map[string]string)
	for i := range h.fields {
		f := &h.fields[i]
		if len(f.line) > 1024 {
			continue
		}
		switch f.name {
		case "via":
			if len(via) < 10 {
				via = append(via, squeezed(f.value(), separators["via"]))
			}
		case "from", "to", "call-id", "cseq":
			found[f.name] = f.value()
		}
	}
	if len(via) == 0 || !strings.HasPrefix(via[0], "SIP/2.0/") {
		return nil
	}
	status := "400 Bad Request"
	if s := scheme.FindString(first[1]); s != "" && !strings.EqualFold(s, "sip:") && !strings.EqualFold(s, "sips:") {
		status = "416 Unsupported URI Scheme" // sipgo does not take all of them for schemes
	}
	var out strings.Builder
	out.WriteString("SIP/2.0 " + status + "\r\n")
	for i, v := range via {
		out.WriteString("Via: " + v)
		if i == 0 && !strings.Contains(v, "received=") {
			out.WriteString(";received=" + from.Addr().String())
		}
		out.WriteString("\r\n")
	}
	for _, h := range []struct{ key, name string }{{"from", "From"}, {"to", "To"}, {"call-id", "Call-ID"}, {"cseq", "CSeq"}} {
		v, ok := found[h.key]
		if !ok {
			continue
		}
		if h.key == "to" && !strings.Contains(v, "tag=") {
			v += ";tag=" + sip.GenerateTagN(12)
		}
		out.WriteString(h.name + ": " + v + "\r\n")
	}
	out.WriteString("Content-Length: 0\r\n\r\n")
	return []byte(out.String())
}
