// Package local is how the command line talks to the host that runs in a data
// folder: HTTP with JSON over a Unix socket in it. Whoever may open the socket,
// the folder's owner, may do everything.
package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Server answers on the socket.
type Server struct {
	http *http.Server
	wg   sync.WaitGroup
	path string
}

// maxAnswer bounds what a client reads, in bytes.
const maxAnswer = 256 << 20

// Serve opens the socket at path, which only the owner may use, and answers with h. The
// caller holds the data folder's lock: a socket that is already there is a dead one. It
// fails if that cannot be removed, or the socket not be made.
func Serve(path string, h http.Handler) (*Server, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("local socket: %w", err)
	}
	var l net.Listener
	err := short(path, func(path string) (err error) {
		l, err = net.Listen("unix", path)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("local socket: %w", err)
	}
	// The folder is the owner's alone already; this says it of the socket too.
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("local socket: %w", err)
	}
	s := &Server{http: &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}, path: path}
	s.wg.Go(func() { _ = s.http.Serve(l) }) // ends with Close
	return s, nil
}

// Close closes the socket and waits. Requests being answered are cut off. The error is of
// closing it.
func (s *Server) Close() error {
	err := s.http.Close()
	s.wg.Wait()
	os.Remove(s.path)
	return err
}

// short calls f with a name for path that fits into a socket's address, 107 bytes,
// however deep the folder lies.
func short(path string, f func(string) error) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return f(fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
}

// Get asks the host whose socket is at path and decodes the answer into v. It fails if no
// host listens there or the caller may not ask it, for an answer that is no JSON, and with what the host says is wrong
// (Problem).
func Get(ctx context.Context, path, resource string, v any) error {
	return ask(ctx, http.MethodGet, path, resource, v)
}

// Post has the host do something, and decodes the answer into v. It fails as Get does.
func Post(ctx context.Context, path, resource string, v any) error {
	return ask(ctx, http.MethodPost, path, resource, v)
}

func ask(ctx context.Context, method, path, resource string, v any) error {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
			err = short(path, func(path string) (err error) {
				conn, err = new(net.Dialer).DialContext(ctx, "unix", path)
				return err
			})
			return conn, err
		},
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://host"+resource, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("no host is running with the data folder %s", filepath.Dir(path))
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("only root and the owner of the data folder %s may ask its host; try with sudo", filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("asking the host: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("asking the host: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		var problem Problem
		if json.Unmarshal(body, &problem) != nil || problem.Error == "" {
			problem.Error = resp.Status
		}
		return errors.New(problem.Error)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("the host's answer: %w", err)
	}
	return nil
}

// Problem is the answer to a request that failed.
type Problem struct {
	Error string `json:"error"`
}

// Reply writes v, or err if there is one.
func Reply(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		v = Problem{err.Error()}
	}
	_ = json.NewEncoder(w).Encode(v) // a client that has gone is told nothing
}
