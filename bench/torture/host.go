package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"rendezvous/internal/freeport"
	"rendezvous/internal/hosttest"
	"rendezvous/internal/lab/phone"
)

const token = "torture-0123456789abcdef"

// settings are what differs from the shipped configuration: small pictures, and recordings whenever somebody is there.
const settings = `
log: {level: info}
api: {tokens: {torture: {secret: ` + token + `, scopes: ["rooms:read", "rooms:write", orders, chat, "recordings:read", "contacts:read", "contacts:write"]}}}
web: {plain_http: true}
sip: {tls: "", trusted: [127.0.0.0/8], rtp: {min: 36000, max: 36999}}
jami: {enabled: true, dht_port: %d, bootstrap: [%s], stun: []}
media: {voice: "", rungs: ["320x180@15:150k"]}
recordings: {min_free: 0, fragment: 1s, max_age: 30d}
rooms: {main: {title: Main, recording: always, conversation: {enabled: true, members: [%s]}}}
`

// host is a program on a disk, somebody who is in its room, and the model of what it has acknowledged.
type host struct {
	site   *hosttest.Site
	proc   *hosttest.Process // nil while none runs
	disk   *disk
	model  *model
	phone  *phone.Phone
	member *member // nil: the host is alone
	jami   string  // the room's id
	client http.Client
	gate   sync.RWMutex // held while something is taken back, and by who copies model and disk
	next   int          // of what has not been asked for; belongs to the load

	recordings map[string]recording // that the host has told of
}

// recording is one as the control API tells of it.
type recording struct {
	ID       string
	State    string
	Started  time.Time
	Duration float64
}

func newHost(ctx context.Context, dir string, o options, d *disk) (h *host, err error) {
	h = &host{disk: d, model: newModel(), client: http.Client{Timeout: 5 * time.Second}, recordings: map[string]recording{}}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	var bootstrap, members string
	var port int // of the host's node of the DHT; 0: any
	if o.member {
		if port, err = freeport.One(); err != nil {
			return h, err
		}
		if h.member, err = newMember(ctx, dir, o.program, port); err != nil {
			return h, err
		}
		bootstrap, members = fmt.Sprintf(`"%s:%d"`, memberAddress, memberPort), h.member.id
	}
	file := filepath.Join(dir, "settings.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, settings, port, bootstrap, members), 0o600); err != nil {
		return h, err
	}
	h.site, err = hosttest.Prepare(dir, o.program, file, "RENDEZVOUS_JAMI_ENABLED=true")
	return h, err
}

// start starts the host; somebody calls its room, and is recorded.
func (h *host) start(ctx context.Context) (err error) {
	if h.proc, err = h.site.Launch(); err != nil {
		return err
	}
	if h.phone == nil {
		if h.phone, err = phone.Start(ctx, phone.Config{User: "paula", Name: "Paula", Tone: 500, Codecs: []string{"PCMU/8000/1"}}); err != nil {
			return err
		}
	}
	// What is said before a new room has a conversation gets into none.
	return wait(ctx, 2*time.Minute, "the room has no Jami account", func() (bool, error) {
		_, err := h.rooms()
		return err == nil, err
	})
}

// meet has the telephone call the room, and waits until it is recorded.
func (h *host) meet(ctx context.Context) error {
	_ = h.phone.Hangup() // the call with a host that was killed goes on for it, and ends only now
	if err := wait(ctx, time.Minute, "the telephone does not get into the room", func() (bool, error) {
		err := h.phone.Dial(ctx, fmt.Sprintf("sip:main@127.0.0.1:%d", h.site.SIP))
		return err == nil, err
	}); err != nil {
		return err
	}
	return wait(ctx, time.Minute, "nothing is recorded", func() (bool, error) {
		_, running, err := h.seen()
		return running != "", err
	})
}

// seen are the recordings that there are, and the one that is being made, if any; they are remembered.
func (h *host) seen() (all []recording, running string, err error) {
	if err := h.get("/rooms/main/recordings", &all); err != nil {
		return nil, "", err
	}
	for _, r := range all {
		h.recordings[r.ID] = r
		if r.State == "running" {
			running = r.ID
		}
	}
	return all, running, nil
}

// wait waits for something, and returns why it is not so.
func wait(ctx context.Context, patience time.Duration, what string, so func() (bool, error)) error {
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		ok, err := so()
		switch {
		case ok:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(end):
			return errors.Join(fmt.Errorf("%s after %v", what, patience), err)
		}
	}
}

func (h *host) request(method, path string, body any) ([]byte, error) {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d/api/v1%s", h.site.Web, path), in)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(out))
	}
	return out, err
}

func (h *host) get(path string, v any) error {
	b, err := h.request(http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// health is what the operators' port says.
func (h *host) health() string {
	resp, err := h.client.Get(fmt.Sprintf("http://127.0.0.1:%d/healthz", h.site.Admin))
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b))
}

// date is the time of day as the host says it.
func (h *host) date() (time.Time, error) {
	resp, err := h.client.Get(fmt.Sprintf("http://127.0.0.1:%d/healthz", h.site.Admin))
	if err != nil {
		return time.Time{}, err
	}
	defer resp.Body.Close()
	return http.ParseTime(resp.Header.Get("Date"))
}

// kill ends the process as a crash would.
func (h *host) kill() {
	h.proc.Kill()
	h.proc = nil
}

// keep puts aside what the host has said, and its data.
func (h *host) keep(dir string) {
	err := os.MkdirAll(dir, 0o755)
	if err == nil && h.proc != nil {
		err = os.WriteFile(filepath.Join(dir, "host.log"), []byte(h.proc.Output()), 0o600)
	}
	if err == nil && h.member != nil {
		err = os.WriteFile(filepath.Join(dir, "member.log"), []byte(h.member.proc.Output()), 0o600)
	}
	if err = errors.Join(err, command("cp", "-a", h.disk.data, filepath.Join(dir, "data"))); err != nil {
		fmt.Fprintln(os.Stderr, "bench/torture: keeping what failed:", err)
	}
}

func (h *host) close() {
	if h.member != nil {
		if err := h.member.close(); err != nil {
			fmt.Fprintln(os.Stderr, "bench/torture: ending the member:", err)
		}
	}
	if h.phone != nil {
		h.phone.Close()
	}
	if h.proc != nil {
		h.kill()
	}
}
