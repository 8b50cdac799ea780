package sip_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rendezvous/signalling/sdp"
	"rendezvous/signalling/sip"
	"rendezvous/signalling/sip/siptest"
)

var update = flag.Bool("update", false, "write what the door says into testdata/descriptions")

// TestDescriptions plays the calls of testdata/descriptions: what telephones offer, as baresip, Linphone, Jami and
// others write it, and what the door answered when the files were made, to the byte. Ports, keys and ids, which
// are others in each call, are named by what they are.
func TestDescriptions(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/descriptions/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	doors := map[string]*siptest.Door{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		_, setting, _ := strings.Cut(name, "@")
		if doors[setting] == nil {
			doors[setting] = siptest.Open(t, settings[setting])
		}
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			said := converse(doors[setting].Socket(t, "TCP"), name, string(text))
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(said), 0o644))
				return
			}
			require.Equal(t, string(text), said)
		})
	}
}

// settings are what a file's name says about the door, behind an @.
var settings = map[string]func(*sip.Config){
	"srtp-off":      func(c *sip.Config) { c.SRTP = sdp.SRTPOff },
	"srtp-required": func(c *sip.Config) { c.SRTP = sdp.SRTPRequired },
	"sound-only":    func(c *sip.Config) { c.Video = nil },
}

// turn begins what one side says: the peer in an INVITE, or in the ACK where the host has made the offer.
var turn = regexp.MustCompile(`(?m)^--- (peer|host)\n`)

// converse makes a call and returns its text with what the host says to each of the peer's descriptions.
func converse(s *siptest.Socket, id, text string) string {
	var out strings.Builder
	call := headers{"Call-ID": id, "From": "<sip:caller@127.0.0.1>;tag=1", "To": "<sip:demo@127.0.0.1>"}
	request := func(method string, seq int, body string) string {
		change := headers{"CSeq": fmt.Sprint(seq, " ", method)}
		maps.Copy(change, call)
		return s.Request(method, "sip:demo@127.0.0.1", change, body)
	}
	seq, owed := 0, false // an answer to the host's offer
	names := map[string]string{}
	parts := turn.Split(text, -1)
	for i, who := range turn.FindAllStringSubmatch(text, -1) {
		if who[1] != "peer" {
			continue
		}
		body := parts[i+1]
		fmt.Fprintf(&out, "--- peer\n%s", body)
		if owed {
			s.Send(request("ACK", seq, body))
			owed = false
			continue
		}
		seq++
		s.Send(request("INVITE", seq, body))
		status := s.Answer(siptest.Deadline)
		out.WriteString("--- host\n")
		if status != "SIP/2.0 200 OK" {
			fmt.Fprintf(&out, "%s %s\n", status, s.Header("Warning"))
			s.Send(request("ACK", seq, ""))
			continue
		}
		call["To"] = s.Header("To")
		out.WriteString(anonymous(s.Body(), names))
		if owed = body == ""; !owed {
			s.Send(request("ACK", seq, ""))
		}
	}
	return out.String()
}

var (
	anyOrigin = regexp.MustCompile(`(?m)^o=- \d+ (\d+) `)
	anyKey    = regexp.MustCompile(`inline:([A-Za-z0-9+/=]+)`)
	anyMedium = regexp.MustCompile(`(?m)^(m=\w+ )(\d+)`)
	anyRTCP   = regexp.MustCompile(`(?m)^(a=rtcp:)(\d+)`)
)

// anonymous replaces what is another in each call; names are those of the call's keys, so that it shows where one
// is used again.
func anonymous(body string, names map[string]string) string {
	body = anyOrigin.ReplaceAllString(body, "o=- ID $1 ")
	body = anyKey.ReplaceAllStringFunc(body, func(key string) string {
		if names[key] == "" {
			names[key] = fmt.Sprintf("inline:(key %d, %d characters)", len(names)+1, len(key)-len("inline:"))
		}
		return names[key]
	})
	port := ""
	var lines strings.Builder
	for line := range strings.Lines(body) {
		if m := anyMedium.FindStringSubmatch(line); m != nil && m[2] != "0" {
			port = m[2]
			line = m[1] + "PORT" + line[len(m[0]):]
		}
		if m := anyRTCP.FindStringSubmatch(line); m != nil {
			rtp, _ := strconv.Atoi(port)
			rtcp, _ := strconv.Atoi(m[2])
			line = fmt.Sprintf("%sPORT+%d%s", m[1], rtcp-rtp, line[len(m[0]):])
		}
		lines.WriteString(line)
	}
	if strings.Count(lines.String(), "\r\n") != strings.Count(lines.String(), "\n") {
		return "a line without CR LF in " + body
	}
	return strings.ReplaceAll(lines.String(), "\r\n", "\n")
}
