package main

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"rendezvous/dht/identity"
	"rendezvous/internal/eventually"
	"rendezvous/internal/hosttest"
	"rendezvous/recordings"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// full is a site whose room has recordings, and on Jami a conversation of so many messages, each in a file of its own, as a host
// leaves them that has run since they were written. There is no network.
func full(tb testing.TB, messages, films int) *hosttest.Site {
	tb.Helper()
	s := hosttest.NewSite(tb, os.Args[0], "../../config.yaml", asProgram+"=1", "RENDEZVOUS_JAMI_ENABLED=true",
		"RENDEZVOUS_JAMI_BOOTSTRAP=127.0.0.1:9", "RENDEZVOUS_JAMI_STUN=", "RENDEZVOUS_ROOMS_MAIN_RECORDING=off")
	keys, err := identity.NewAccountBits(time.Now().Add(-24*time.Hour), 1024)
	require.NoError(tb, err)
	room := s.Data("jami/main")
	require.NoError(tb, os.MkdirAll(room, 0o700))
	require.NoError(tb, keys.Save(filepath.Join(room, "identity")))
	id := talk(tb, filepath.Join(room, "conversations"), keys, messages)
	require.NoError(tb, os.WriteFile(filepath.Join(room, "conversation.json"), fmt.Appendf(nil, `{"conversation":%q}`, id), 0o600))
	for i := range films {
		plant(tb, s.Data("recordings"), "main", fmt.Sprintf("20260102T093000Z-%08x", i), []byte("film"), nil)
	}
	return s
}

// talk makes a conversation in a folder by hand, which takes a hundredth of the time that saying it all does, and returns its id.
func talk(tb testing.TB, dir string, keys *identity.Account, messages int) string {
	tb.Helper()
	fresh := filepath.Join(dir, "fresh")
	r, err := repo.Create(fresh, repo.Author{Identity: keys.Device}, commit.InvitesOnly, nil, time.Now)
	require.NoError(tb, err)
	o, ok := r.Object(r.Head())
	require.True(tb, ok)
	last, err := commit.Parse(o.Data)
	require.NoError(tb, err)
	for i := range messages {
		next, err := commit.Draft{Tree: last.Tree, Parents: []plumbing.Hash{last.ID}, Device: keys.DeviceLongID(), Name: "main", Time: time.Now(),
			Text: commit.Text(fmt.Sprintf("message number %d of a long conversation", i)).Text()}.Sign(keys.Device.Key)
		require.NoError(tb, err)
		name := next.ID.String()
		require.NoError(tb, os.MkdirAll(filepath.Join(fresh, "objects", name[:2]), 0o700))
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		fmt.Fprintf(z, "commit %d\x00%s", len(next.Raw()), next.Raw())
		require.NoError(tb, z.Close())
		require.NoError(tb, os.WriteFile(filepath.Join(fresh, "objects", name[:2], name[2:]), b.Bytes(), 0o600))
		last = next
	}
	require.NoError(tb, os.WriteFile(filepath.Join(fresh, "refs/heads/main"), []byte(last.ID.String()+"\n"), 0o600))
	id := r.ID().String()
	require.NoError(tb, os.Rename(fresh, filepath.Join(dir, id)))
	return id
}

// A host with much on its disk is ready at once, with all of it; what makes the next start faster goes on behind the open doors.
func TestStartWithMuch(t *testing.T) {
	const messages, films = 2500, 200
	s := full(t, messages, films)
	began := time.Now()
	r := s.Start()
	t.Logf("ready after %v", time.Since(began).Round(time.Millisecond))
	list := rooms(t, s)
	require.Len(t, list[0].Addresses["jami"], 40)
	require.Empty(t, list[0].Degraded)
	require.Empty(t, list[0].Pending)
	out, stderr, err := s.Run("recordings", "main", "--json")
	require.NoError(t, err, stderr)
	var entries []recordings.Entry
	require.NoError(t, json.Unmarshal([]byte(out), &entries))
	require.Len(t, entries, films)
	loose := func() int {
		files, err := filepath.Glob(s.Data("jami/main/conversations/*/objects/??/*"))
		require.NoError(t, err)
		return len(files)
	}
	eventually.True(t, "the messages are put together", func() bool { return loose() < messages/2 })
	r.Signal(syscall.SIGTERM)
	require.NoError(t, r.Wait())

	r = s.Start()
	require.Empty(t, rooms(t, s)[0].Degraded)
	out, stderr, err = s.Run("swarm", "verify", "main")
	require.NoError(t, err, out+stderr)
	r.Signal(syscall.SIGTERM)
	require.NoError(t, r.Wait())
}

// BenchmarkStart measures how long a host with 200 recordings and a conversation of 20,000 messages takes until it is ready: when they
// lie in files of their own, and at the next start.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		s := full(b, 20_000, 200)
		b.StartTimer()
		for _, what := range []string{"first-ms", "next-ms"} {
			began := time.Now()
			p, err := s.Launch()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(time.Since(began).Milliseconds()), what)
			b.StopTimer()
			time.Sleep(20 * time.Second) // for what goes on behind the doors
			if err := p.Stop(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	}
}
