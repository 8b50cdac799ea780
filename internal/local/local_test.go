package local

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAskTheHost(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))
	require.NoError(t, os.MkdirAll(dir, 0o700))
	path := filepath.Join(dir, "host.sock")
	require.NoError(t, os.WriteFile(path, nil, 0o600), "left by a crash")

	mux := http.NewServeMux()
	mux.HandleFunc("GET /rooms", func(w http.ResponseWriter, _ *http.Request) { Reply(w, []string{"main"}, nil) })
	mux.HandleFunc("GET /fail", func(w http.ResponseWriter, _ *http.Request) { Reply(w, nil, errors.New("there is no room x")) })
	s, err := Serve(path, mux)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	var rooms []string
	require.NoError(t, Get(context.Background(), path, "/rooms", &rooms))
	require.Equal(t, []string{"main"}, rooms)
	require.EqualError(t, Get(context.Background(), path, "/fail", &rooms), "there is no room x")
	require.EqualError(t, Get(context.Background(), path, "/other", &rooms), "404 Not Found")

	require.NoError(t, s.Close())
	require.NoFileExists(t, path)
	require.EqualError(t, Get(context.Background(), path, "/rooms", &rooms), "no host is running with the data folder "+strings.TrimSuffix(dir, "/"))
}
