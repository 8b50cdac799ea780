package call

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/require"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/conference/settings/settingstest"
	"rendezvous/mixer/leg"
	"rendezvous/signalling/jami/sipchannel"
)

var update = flag.Bool("update", false, "write what the host says into testdata/descriptions")

// TestDescriptions plays the calls of testdata/descriptions: what daemons of Jami offer and answer, and what the
// host said when the files were made, to the byte. Keys, addresses and ids, which are others in each call, are
// named by what they are. A file that begins with the host is a call that it makes.
func TestDescriptions(t *testing.T) {
	files, err := filepath.Glob("testdata/descriptions/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			d := newDevice(t, strings.HasSuffix(name, "@h265"))
			said := d.converse(string(text))
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(said), 0o644))
				return
			}
			require.Equal(t, string(text), said)
		})
	}
}

// device is a Jami device with a channel to a server whose room takes everybody in.
type device struct {
	wire
	server  *Server
	channel chan *sipchannel.Channel // of the newest request
	names   map[string]string        // of keys
}

func newDevice(t *testing.T, h265 bool) *device {
	t.Helper()
	host, err := conference.NewHost(conference.Config{Log: slog.New(slog.DiscardHandler), Rooms: settingstest.Rooms(settings.Room{SelfUnmute: true})})
	require.NoError(t, err)
	room := host.Rooms()[0]
	s, err := NewServer(Config{Account: strings.Repeat("a", 40), Device: strings.Repeat("d", 64), H265: h265,
		Join: func(ctx context.Context, c conference.Caller, l *leg.Leg, to conference.Listener) (*conference.Member, error) {
			return room.Join(ctx, c, l, to)
		}})
	require.NoError(t, err)
	near, far := net.Pipe()
	d := &device{wire: wire{t, far, bufio.NewReader(far)}, server: s, channel: make(chan *sipchannel.Channel, 16), names: map[string]string{}}
	x := sipchannel.New(sipchannel.Config{Account: s.cfg.Account})
	x.OnRequest(func(c *sipchannel.Channel, r *sip.Request) bool {
		d.channel <- c
		return s.Receive(c, r)
	})
	x.OnEnd(s.Ended)
	served := make(chan struct{})
	go func() { defer close(served); x.Serve(caller(t), near) }()
	t.Cleanup(func() { far.Close(); s.Close(); x.Close(); <-served; host.Close() })
	return d
}

var turn = regexp.MustCompile(`(?m)^--- (peer|host)\n`)

// converse makes a call and returns its text with what the host says.
func (d *device) converse(text string) string {
	var out strings.Builder
	parts := turn.Split(text, -1)[1:]
	if strings.HasPrefix(text, "--- host\n") {
		fmt.Fprintf(&out, "--- host\n%s--- peer\n%s", d.called(parts[1]), parts[1])
		return out.String()
	}
	tag := ""
	for i, body := range parts {
		if i%2 != 0 {
			continue
		}
		fmt.Fprintf(&out, "--- peer\n%s--- host\n", body)
		head := d.head("INVITE", i+1, tag)
		d.send(head+"Content-Type: application/sdp\n", strings.ReplaceAll(body, "\n", "\r\n"))
		first, headers, answer := d.receive("SIP/2.0 2", "SIP/2.0 4")
		_, tag, _ = strings.Cut(headers["to"], ";tag=")
		d.send(d.head("ACK", i+1, tag), "")
		if answer == "" {
			fmt.Fprintln(&out, first)
			continue
		}
		out.WriteString(d.anonymous(answer))
	}
	d.send(d.head("BYE", len(parts)+1, tag), "")
	d.receive("SIP/2.0 200", "SIP/2.0 481")
	return out.String()
}

func (d *device) head(method string, seq int, tag string) string {
	if tag != "" {
		tag = ";tag=" + tag
	}
	return fmt.Sprintf("%s sips:10.0.0.1 SIP/2.0\nVia: SIP/2.0/TLS 10.0.0.2;branch=z9hG4bK%d\nFrom: <sip:%s@ring.dht>;tag=f\nTo: <sips:%s@10.0.0.1>%s\n"+
		"Call-ID: c\nCSeq: %d %s\nContact: <sips:x@10.0.0.2>\nUser-Agent: Jami Daemon 13.7.0 (linux)\n",
		method, seq, strings.Repeat("b", 40), d.server.cfg.Account, tag, seq, method)
}

// called has the host call the device, answers and returns the offer.
func (d *device) called(answer string) string {
	d.send(d.head("OPTIONS", 1, ""), "")
	d.receive("SIP/2.0 200")
	ch := <-d.channel
	dialled := make(chan error, 1)
	go func() { dialled <- d.server.Dial(d.t.Context(), ch, func() bool { return true }) }()
	_, headers, offer := d.receive("INVITE ")
	d.send(fmt.Sprintf("SIP/2.0 200 OK\nVia: %s\nFrom: %s\nTo: %s;tag=x\nCall-ID: %s\nCSeq: %s\nContact: <sips:x@10.0.0.2>\nContent-Type: application/sdp\n",
		headers["via"], headers["from"], headers["to"], headers["call-id"], headers["cseq"]), strings.ReplaceAll(answer, "\n", "\r\n"))
	d.receive("ACK ")
	select {
	case err := <-dialled:
		require.NoError(d.t, err)
	case <-time.After(20 * time.Second):
		d.t.Fatal("the answer is not taken")
	}
	return anyID.ReplaceAllString(d.anonymous(offer), "o=rendezvous ID ")
}

// receive reads up to a message that begins as one of those wanted.
func (d *device) receive(wanted ...string) (first string, headers map[string]string, body string) {
	d.t.Helper()
	for {
		_ = d.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		line, err := d.in.ReadString('\n')
		require.NoError(d.t, err)
		first, headers = strings.TrimSpace(line), map[string]string{}
		for line != "\r\n" {
			line, err = d.in.ReadString('\n')
			require.NoError(d.t, err)
			name, value, _ := strings.Cut(line, ":")
			headers[strings.ToLower(name)] = strings.TrimSpace(value)
		}
		var length int
		fmt.Sscan(headers["content-length"], &length)
		b := make([]byte, length)
		_, err = io.ReadFull(d.in, b)
		require.NoError(d.t, err)
		for _, w := range wanted {
			if strings.HasPrefix(first, w) {
				return first, headers, string(b)
			}
		}
	}
}

var (
	anyID        = regexp.MustCompile(`(?m)^o=rendezvous \d+ `)
	anyName      = regexp.MustCompile(`(?m)^s=Call ID \d{1,20}\r$`)
	anyUfrag     = regexp.MustCompile(`(?m)^a=ice-ufrag:[0-9a-f]{8}\r$`)
	anyPwd       = regexp.MustCompile(`(?m)^a=ice-pwd:[0-9a-f]{24}\r$`)
	anyKey       = regexp.MustCompile(`inline:([A-Za-z0-9+/=]+)`)
	anyAddress   = regexp.MustCompile(`IN IP[46] [0-9a-f.:]+`)
	anyPort      = regexp.MustCompile(`(?m)^(m=\w+|a=rtcp:)( ?)(\d{4,5}) `)
	anyCandidate = regexp.MustCompile(`^a=candidate:[HSR][0-9a-f]{8} (\d+) UDP \d+ [0-9a-f.:]+ \d+ typ (host|srflx|relay)\r\n`)
)

// anonymous replaces what is another in each call.
func (d *device) anonymous(body string) string {
	body = anyName.ReplaceAllString(body, "s=Call ID (digits)\r")
	body = anyUfrag.ReplaceAllString(body, "a=ice-ufrag:(8 hex digits)\r")
	body = anyPwd.ReplaceAllString(body, "a=ice-pwd:(24 hex digits)\r")
	body = anyAddress.ReplaceAllString(body, "IN HOST")
	body = anyPort.ReplaceAllString(body, "$1${2}PORT ")
	body = anyKey.ReplaceAllStringFunc(body, func(key string) string {
		if d.names[key] == "" {
			d.names[key] = fmt.Sprintf("inline:(key %d, %d characters)", len(d.names)+1, len(key)-len("inline:"))
		}
		return d.names[key]
	})
	// Those of one component stand together; how many there are is the machine's affair.
	lines := strings.SplitAfter(body, "\n")
	body = ""
	for i, line := range lines {
		if m := anyCandidate.FindStringSubmatch(line); m != nil {
			if next := anyCandidate.FindStringSubmatch(strings.Join(lines[i+1:min(i+2, len(lines))], "")); next != nil && next[1] == m[1] {
				continue
			}
			line = "a=candidate:(of component " + m[1] + ")\r\n"
		}
		body += line
	}
	if strings.Count(body, "\r\n") != strings.Count(body, "\n") {
		d.t.Error("a line without CR LF in " + body)
	}
	return strings.ReplaceAll(body, "\r\n", "\n")
}
