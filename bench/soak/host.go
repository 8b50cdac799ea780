package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"rendezvous/internal/hosttest"
	"rendezvous/internal/lab/jamilab"
)

// host is the program, with the configuration that is shipped.
type host struct {
	*hosttest.Process
	site *hosttest.Site
	jami string // the room's account id
}

func startHost(ctx context.Context, dir, bin string) (*host, error) {
	dir = filepath.Join(dir, "host")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	site, err := hosttest.Prepare(dir, bin, "config.yaml",
		"RENDEZVOUS_JAMI_ENABLED=true", "RENDEZVOUS_JAMI_BOOTSTRAP="+jamilab.Bootstrap, "RENDEZVOUS_JAMI_STUN=")
	if err != nil {
		return nil, err
	}
	// Browsers look for localhost in either family, and the daemon comes from outside.
	site.Env = append(site.Env, fmt.Sprintf("RENDEZVOUS_WEB_LISTEN=:%d", site.Web))
	h := &host{site: site}
	if h.Process, err = site.Launch(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		r, err := h.room()
		if err == nil && len(r.Addresses.Jami) == 40 {
			h.jami = r.Addresses.Jami
			return h, nil
		}
		if wait(ctx) != nil {
			h.Kill()
			return nil, errors.Join(fmt.Errorf("the room has no Jami id: %s", h.Output()), err)
		}
	}
}

// metrics are what Prometheus would be told.
func (h *host) metrics() ([]byte, error) {
	client := http.Client{Timeout: patience}
	r, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", h.site.Admin))
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	defer r.Body.Close()
	return io.ReadAll(r.Body)
}

func (h *host) url() string { return fmt.Sprintf("http://localhost:%d/r/main", h.site.Web) }
func (h *host) sip() string { return fmt.Sprintf("sip:main@127.0.0.1:%d", h.site.SIP) }

// room is what `rooms --json` says of one.
type room struct {
	Addresses    struct{ Jami string }
	Participants []struct{ Name string }
}

func (h *host) room() (room, error) {
	out, stderr, err := h.site.Run("rooms", "--json")
	if err != nil {
		return room{}, fmt.Errorf("rooms --json: %w: %s", err, stderr)
	}
	var all []room
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
		return room{}, errors.Join(fmt.Errorf("rooms --json does not tell of one room: %s", out), err)
	}
	return all[0], nil
}

// left waits until the resident is the only one in the room, by its page and by the host.
func (h *host) left(ctx context.Context, r *resident) error {
	for {
		n, err := r.people()
		if err != nil {
			return err
		}
		if n == 1 {
			in, err := h.room()
			if err != nil {
				return err
			}
			if n = len(in.Participants); n == 1 {
				return nil
			}
		}
		if err := wait(ctx); err != nil {
			return fmt.Errorf("%d are in the room", n)
		}
	}
}

// alone returns an error if there is no point in going on: the resident is not, or not alone, in the
// room, also a minute after somebody has not left in time.
func (h *host) alone(ctx context.Context, r *resident) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := r.stays(); err != nil {
		return err
	}
	return h.left(ctx, r)
}

// wait waits for a moment between two questions, unless it is too late for another one.
func wait(ctx context.Context) error {
	select {
	case <-time.After(100 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
