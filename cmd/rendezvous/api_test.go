package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/internal/eventually"
	"rendezvous/signalling/web/links"
)

// What the control API has answered lasts: a host that is killed the moment after has it at its next start. Links are the same for the
// command line, and events come from the host itself.
func TestWhatTheAPIAnswersLasts(t *testing.T) {
	const secret = "a-secret-of-the-tests"
	s := newSite(t)
	s.Replace("  tokens: {}", "  tokens: {bot: {secret: "+secret+"}}")
	do := func(method, path, body string, want int, into any) {
		t.Helper()
		q, err := http.NewRequest(method, fmt.Sprintf("http://localhost:%d/api/v1%s", s.Web, path), strings.NewReader(body))
		require.NoError(t, err)
		q.Header.Set("Authorization", "Bearer "+secret)
		q.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(q)
		require.NoError(t, err)
		defer resp.Body.Close()
		var text bytes.Buffer
		_, err = text.ReadFrom(resp.Body)
		require.NoError(t, err)
		require.Equal(t, want, resp.StatusCode, text.String())
		if into != nil {
			require.NoError(t, json.Unmarshal(text.Bytes(), into))
		}
	}
	var listed []links.Link
	kill := s.Start().Kill
	again := func() {
		kill()
		kill = s.Start().Kill
	}

	do("POST", "/rooms", `{"id":"booked"}`, 201, nil)
	do("PATCH", "/rooms/booked", `{"pin":"271828","number":"4711","until":"2999-12-31T23:59:59Z"}`, 200, nil)
	again()
	settings := map[string]any{}
	do("GET", "/rooms/booked/settings", "", 200, &settings)
	require.Equal(t, "271828", settings["pin"])
	require.Equal(t, "4711", settings["number"])
	require.Equal(t, "2999-12-31T23:59:59Z", settings["until"])

	var made struct{ ID, URL string }
	tomorrow := time.Now().Add(24 * time.Hour).Format(time.RFC3339)
	do("POST", "/rooms/booked/links", `{"role":"guest","expires":"`+tomorrow+`"}`, 201, &made)
	require.Contains(t, made.URL, fmt.Sprintf("http://localhost:%d/r/booked#token=", s.Web))
	again()
	do("GET", "/rooms/booked/links", "", 200, &listed)
	require.Len(t, listed, 1)
	require.Equal(t, made.ID, listed[0].ID)
	url, stderr, err := s.Run("link", "booked", "--name", "Ann")
	require.NoError(t, err, stderr)
	require.Contains(t, url, "/r/booked#token=")
	do("GET", "/rooms/booked/links", "", 200, &listed)
	require.Len(t, listed, 2)
	out, stderr, err := s.Run("links", "booked")
	require.NoError(t, err, stderr)
	require.Regexp(t, `(?m)^`+made.ID+` +guest +bot +2`, out)
	require.Regexp(t, `(?m) moderator +Ann +command line +2`, out)
	_, stderr, err = s.Run("links", "revoke", "booked", made.ID)
	require.NoError(t, err, stderr)
	again()
	do("GET", "/rooms/booked/links", "", 200, &listed)
	require.Len(t, listed, 1)
	do("DELETE", "/rooms/booked/links/"+listed[0].ID, "", 204, nil)
	do("DELETE", "/rooms/booked/links/"+listed[0].ID, "", 404, nil)
	_, stderr, err = s.Run("links", "revoke", "booked", listed[0].ID)
	require.Error(t, err)
	require.Equal(t, "rendezvous: there is no such link\n", stderr)
	info, err := os.Stat(s.Data("links.json"))
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077)

	// Events, and the end of the host with somebody who listens.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("http://localhost:%d/api/v1/rooms/booked/events", s.Web), nil)
	require.NoError(t, err)
	q.Header.Set("Authorization", "Bearer "+secret)
	resp, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	require.True(t, lines.Scan())
	require.Equal(t, "retry: 2000", lines.Text())
	do("POST", "/rooms/booked/chat", `{"text":"hello"}`, 204, nil)
	for lines.Scan() && lines.Text() != "event: chat" {
	}
	require.Equal(t, "event: chat", lines.Text(), lines.Err())
	eventually.True(t, "the listener is counted", func() bool {
		_, metrics := get(t, s, "/metrics")
		return strings.Contains(metrics, "rendezvous_events_listeners 1\n")
	})
	kill()
	r := s.Start()
	resp, err = http.DefaultClient.Do(q)
	require.NoError(t, err)
	defer resp.Body.Close()
	begin := time.Now()
	r.Signal(syscall.SIGTERM)
	require.NoError(t, r.Wait(), "a listener holds nothing up")
	require.Less(t, time.Since(begin), 20*time.Second)
}
