package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rendezvous/internal/hosttest"
)

// server is the program that is measured, or a peer of it.
type server interface {
	door
	name() string
	pid() int
	metrics(ctx context.Context) (metrics, error) // nil if it tells of none
	close()
}

// settings are what differs from the shipped defaults: no limit to how many are in a room, and no recording.
const settings = `
log: {level: warn}
sip: {tls: ""}
rooms:
`

// host is the program as it is shipped, with rooms of its own.
type host struct {
	process *hosttest.Process
	site    *hosttest.Site
	clients map[netip.Addr]*http.Client // by the address that callers come from
	started time.Duration               // until it was ready
}

// startHost starts the program with rooms that are named main, room-1, room-2 and so on.
func startHost(dir, program string, rooms int) (*host, error) {
	var b strings.Builder
	b.WriteString(settings)
	for i := range rooms {
		fmt.Fprintf(&b, "  %s: {recording: \"off\", max_participants: 0}\n", roomName(i))
	}
	dir, err := os.MkdirTemp(dir, "host")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "settings.yaml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		return nil, err
	}
	h := &host{clients: map[netip.Addr]*http.Client{}}
	if h.site, err = hosttest.Prepare(dir, program, file); err != nil {
		return nil, err
	}
	begun := time.Now()
	if h.process, err = h.site.Launch(); err != nil {
		return nil, err
	}
	h.started = time.Since(begun)
	for number := 0; number < mostCallers; number += ofOneAddress {
		from := h.source(call{number: number})
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
		h.clients[from] = &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	}
	return h, nil
}

func roomName(i int) string {
	if i == 0 {
		return "main"
	}
	return fmt.Sprintf("room-%d", i)
}

// ofOneAddress is how many callers come from one address: the host takes no more than 500 of one network.
const ofOneAddress = 400

// source is an address of loopback.
func (*host) source(c call) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + c.number/ofOneAddress)})
}

func (*host) name() string { return "rendezvous" }
func (h *host) pid() int   { return h.process.PID() }
func (h *host) close()     { h.process.Kill() }

// join comes in by WHIP, or WHEP.
func (h *host) join(ctx context.Context, c call, offer string) (answer string, leave func(context.Context) error, err error) {
	path := "/whip/" + c.room + "?name=" + url.QueryEscape(c.name)
	if c.watches {
		path = "/whep/" + c.room
	}
	client := h.clients[h.source(c)]
	answer, where, err := h.request(ctx, client, http.MethodPost, path, offer, http.StatusCreated)
	if err != nil {
		return "", nil, err
	}
	return answer, func(ctx context.Context) error {
		_, _, err := h.request(ctx, client, http.MethodDelete, where, "", http.StatusOK)
		return err
	}, nil
}

func (h *host) request(ctx context.Context, client *http.Client, method, path, body string, want int) (text, location string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("http://127.0.0.1:%d%s", h.site.Web, path), strings.NewReader(body))
	if err != nil {
		return "", "", err
	}
	r.Header.Set("Content-Type", "application/sdp")
	text, header, err := do(client, r, want)
	return text, header.Get("Location"), err
}

// do makes a request and returns what it was answered with that status.
func do(client *http.Client, r *http.Request, want int) (text string, header http.Header, err error) {
	resp, err := client.Do(r)
	if err != nil {
		return "", nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", nil, fmt.Errorf("%s %s: %w", r.Method, r.URL, err)
	}
	if resp.StatusCode == http.StatusServiceUnavailable {
		return "", nil, fmt.Errorf("%s %s: %w: %s", r.Method, r.URL, errBusy, b)
	}
	if resp.StatusCode != want {
		return "", nil, fmt.Errorf("%s %s: %s: %s", r.Method, r.URL, resp.Status, b)
	}
	return string(b), resp.Header, nil
}

func (h *host) operators(ctx context.Context, path string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", h.site.Admin, path), nil)
	if err != nil {
		return "", err
	}
	text, _, err := do(h.clients[h.source(call{})], r, http.StatusOK)
	return text, err
}

func (h *host) metrics(ctx context.Context) (metrics, error) {
	text, err := h.operators(ctx, "/metrics")
	return parseMetrics(text), err
}

// collect has the host collect its garbage, so that what its heap has after is in use.
func (h *host) collect(ctx context.Context) error {
	_, err := h.operators(ctx, "/debug/pprof/heap?gc=1")
	return err
}

// settled waits until the host has as many goroutines as at most, or for as long as it takes others to be done with.
func (h *host) settled(ctx context.Context, most float64) error {
	for end := time.Now().Add(10 * time.Second); ; {
		m, err := h.metrics(ctx)
		if err != nil || m["go_goroutines"] <= most || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
