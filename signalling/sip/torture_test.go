package sip_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/signalling/sip/siptest"
)

// torture says what becomes of a message: the codes of the answers, "" for none.
type torture struct {
	udp  string
	tcp  string // "=" for the same
	room string // with the address of a room in the place of its Request-URI, which is of nobody here; "" is not tried
}

// Nobody registers here, so that a REGISTER is a 405 if it can be read. What a server may be liberal with, it is as
// the comment says.
var tortures = map[string]torture{
	// RFC 4475 §3.1.1: valid messages.
	"rfc4475/wsinv":      {"481", "=", "481"}, // To has a tag: of a call that there is not (RFC 3261 §12.2.2)
	"rfc4475/intmeth":    {"501", "=", "501"},
	"rfc4475/esc01":      {"404", "=", "200"},
	"rfc4475/escnull":    {"405", "=", ""},
	"rfc4475/esc02":      {"501", "=", ""},
	"rfc4475/lwsdisp":    {"404", "=", "200"},
	"rfc4475/longreq":    {"404", "=", "200"},
	"rfc4475/dblreq":     {"405", "400 405", ""}, // the second is beyond the end of the datagram; it has no Contact
	"rfc4475/semiuri":    {"404", "=", "200"},
	"rfc4475/transports": {"404", "=", "200"},
	"rfc4475/mpart01":    {"415", "=", "415"},
	"rfc4475/unreason":   {"", "=", ""},
	"rfc4475/noreason":   {"", "=", ""},
	// §3.1.2: invalid messages.
	"rfc4475/badinv01":   {"400", "=", "400"},
	"rfc4475/clerr":      {"400", "404", ""}, // over TCP, the rest is waited for
	"rfc4475/ncl":        {"400", "=", "400"},
	"rfc4475/scalar02":   {"400", "=", "400"},
	"rfc4475/scalarlg":   {"", "=", ""},
	"rfc4475/quotbal":    {"400", "=", "400"},
	"rfc4475/ltgtruri":   {"400", "=", ""},
	"rfc4475/lwsruri":    {"400", "=", ""},
	"rfc4475/lwsstart":   {"400", "=", ""},
	"rfc4475/trws":       {"400", "=", "400"},
	"rfc4475/escruri":    {"400", "=", ""},
	"rfc4475/baddate":    {"404", "=", "200"}, // liberal: nothing looks at dates
	"rfc4475/regbadct":   {"405", "=", ""},
	"rfc4475/badaspec":   {"400", "=", "400"},
	"rfc4475/baddn":      {"404", "=", "200"}, // liberal: it is plain what is meant
	"rfc4475/badvers":    {"505", "=", ""},
	"rfc4475/mismatch01": {"400", "=", "400"},
	"rfc4475/mismatch02": {"400", "=", "400"},
	"rfc4475/bigcode":    {"", "=", ""},
	// §3.2: of transactions.
	"rfc4475/badbranch": {"404", "=", "200"},
	// §3.3: of the application.
	"rfc4475/insuf":    {"400", "=", "400"},
	"rfc4475/unkscm":   {"416", "=", ""},
	"rfc4475/novelsc":  {"416", "=", ""},
	"rfc4475/unksm2":   {"405", "=", ""},
	"rfc4475/bext01":   {"420", "=", "420"},
	"rfc4475/invut":    {"415", "=", "415"},
	"rfc4475/regaut01": {"405", "=", ""},
	"rfc4475/multi01":  {"400", "=", "400"},
	"rfc4475/mcl01":    {"400", "=", "400"},
	"rfc4475/bcast":    {"", "=", ""},
	"rfc4475/zeromf":   {"404", "=", "200"}, // there is nobody whom it would be sent on to
	"rfc4475/cparam01": {"405", "=", ""},
	"rfc4475/cparam02": {"405", "=", ""},
	"rfc4475/regescrt": {"405", "=", ""},
	"rfc4475/sdp01":    {"404", "=", "200"}, // liberal: the answer has the type that the offer has
	// §3.4: of RFC 2543.
	"rfc4475/inv2543": {"404", "400", "200"}, // over TCP, nobody can know how long it is (RFC 3261 §18.3)

	"rfc5118/4.1-valid":             {"405", "=", ""},
	"rfc5118/4.2-nobrackets":        {"400", "=", ""},
	"rfc5118/4.3-portambiguous":     {"405", "=", ""},
	"rfc5118/4.4-portunambiguous":   {"405", "=", ""},
	"rfc5118/4.5a-receivedbrackets": {"481", "=", ""},
	"rfc5118/4.5b-receivedbare":     {"200", "=", "200"},
	"rfc5118/4.6-sdp":               {"404", "=", "488"}, // G.726 and H.263
	"rfc5118/4.7-vias":              {"481", "=", ""},
	"rfc5118/4.8-twoc":              {"404", "=", "200"},
	"rfc5118/4.9-mapped":            {"404", "=", "488"},
	"rfc5118/4.10a-threecolons":     {"404", "=", "200"}, // liberal, as the RFC recommends
	"rfc5118/4.10b-twocolons":       {"404", "=", "200"},
}

// The messages of RFC 4475 and 5118 get what these ask for, over UDP and TCP, and do no harm.
func TestTorture(t *testing.T) {
	b := siptest.Open(t, nil)
	unanswered := map[string]*siptest.Socket{}
	try := func(name, transport string, message []byte, want string) {
		t.Helper()
		s := b.Socket(t, transport)
		_, err := s.Write(message)
		require.NoError(t, err)
		if want == "" { // nothing comes before the answer to what is sent next
			s.Send(s.Request("OPTIONS", "sip:demo@127.0.0.1", headers{"Call-ID": name}, ""))
			if answer := s.Answer(siptest.Deadline); s.Header("Call-ID") != name {
				t.Errorf("%s is answered with %q", name, answer)
			}
			unanswered[name] = s
			return
		}
		var got []string
		for range strings.FieldsSeq(want) {
			answer := s.Answer(siptest.Deadline)
			code, _, _ := strings.Cut(strings.TrimPrefix(answer, "SIP/2.0 "), " ")
			got = append(got, code)
			if code == "200" && bytes.HasPrefix(message, []byte("INVITE ")) {
				s.Hangup()
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%s is answered with %q, want %q", name, got, want)
		}
	}
	files, err := filepath.Glob("testdata/rfc*/*.dat")
	require.NoError(t, err)
	require.Len(t, files, len(tortures))
	for i, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "testdata/"), ".dat")
		want, ok := tortures[name]
		if !ok {
			t.Errorf("%s is not expected", name)
			continue
		}
		message, err := os.ReadFile(file)
		require.NoError(t, err)
		try(name+" over UDP", "UDP", own(message, fmt.Sprint("u", i)), want.udp)
		if want.room != "" {
			try(name+" to a room over UDP", "UDP", toRoom(own(message, fmt.Sprint("v", i))), want.room)
		}
		switch {
		case name == "rfc4475/clerr":
			message = append(message, make([]byte, 9999)...)
			fallthrough
		case want.tcp != "=":
			try(name+" over TCP", "TCP", own(message, fmt.Sprint("t", i)), want.tcp)
			continue
		}
		try(name+" over TCP", "TCP", own(message, fmt.Sprint("t", i)), want.udp)
		if want.room != "" {
			try(name+" to a room over TCP", "TCP", toRoom(own(message, fmt.Sprint("w", i))), want.room)
		}
	}
	// What is a call but for its tag in To.
	message, err := os.ReadFile("testdata/rfc4475/wsinv.dat")
	require.NoError(t, err)
	message = bytes.Replace(message, []byte(";   tag    = 1918181833n"), nil, 1)
	for _, transport := range []string{"UDP", "TCP"} {
		try("wsinv without a tag in To over "+transport, transport, toRoom(own(message, transport)), "200")
	}
	b.Call(t, "UDP", "demo")
	b.Call(t, "TCP", "demo")
	for name, s := range unanswered {
		if answer := s.Answer(time.Millisecond); answer != "" {
			t.Errorf("%s is answered with %q in the end", name, answer)
		}
	}
}

var (
	branch = regexp.MustCompile(`(?i)(branch\s*=\s*z9hG4bK)([^\s;,])`)
	callID = regexp.MustCompile(`(?im)^((?:call-id|i)\s*:\s*)`)
	via    = regexp.MustCompile(`(?im)^v(?:ia)?\s*:`)
	params = regexp.MustCompile(`;|\r\n[^ \t]`)
)

// own is a message with a Call-ID and, if it has one, a branch of its own, as several of the RFCs' have the same; and
// one that wants its answers where it comes from (RFC 3581), as these are of hosts that nobody is.
func own(message []byte, mark string) []byte {
	m := string(callID.ReplaceAll(message, []byte("${1}"+mark+"-")))
	if at := branch.FindStringSubmatchIndex(m); at != nil {
		m = m[:at[3]] + mark + m[at[4]:]
	}
	if at := via.FindStringIndex(m); at != nil && !strings.Contains(m, "rport") {
		end := at[1] + params.FindStringIndex(m[at[1]:])[0]
		m = m[:end] + ";rport" + m[end:]
	}
	return []byte(m)
}

// toRoom replaces the Request-URI.
func toRoom(message []byte) []byte {
	method, rest, _ := strings.Cut(string(message), " ")
	_, rest, _ = strings.Cut(rest, " SIP/2.0")
	return []byte(method + " sip:demo@127.0.0.1 SIP/2.0" + rest)
}
