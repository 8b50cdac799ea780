package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"rendezvous/internal/freeport"
)

// Janus (https://janus.conf.meetecho.com) with its AudioBridge, which mixes sound as we do. It runs with a configuration of its
// own: nothing but the AudioBridge, HTTP on loopback, media on an address of the machine, as libnice leaves loopback out. The kernel
// takes packets between this machine's own addresses over loopback all the same.
const (
	janusLibraries = "/usr/lib/*/janus" // of Debian's package
	janusMain      = `general: { configs_folder = %[1]q, plugins_folder = "%[2]s/plugins", transports_folder = "%[2]s/transports",
	debug_level = 3, session_timeout = 0 }
nat: { ice_enforce_list = %[3]q }
plugins: { disable = "libjanus_duktape.so,libjanus_echotest.so,libjanus_lua.so,libjanus_nosip.so,libjanus_recordplay.so,libjanus_sip.so,libjanus_streaming.so,libjanus_textroom.so,libjanus_videocall.so,libjanus_videoroom.so,libjanus_voicemail.so" }
transports: { disable = "libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,libjanus_rabbitmq.so,libjanus_websockets.so" }
`
	janusHTTP = `general: { json = "compact", base_path = "/janus", http = true, ip = "127.0.0.1", port = %d, https = false }
admin: { admin_http = false }
`
	janusRoom = `room-1: { description = "load", sampling_rate = 48000, record = false, default_bitrate = %d }
`
	janusQuality = 5 // of its Opus encoders (complexity), as ours
)

var errNoJanus = errors.New("no Janus is installed (Debian package janus)")

// janus is one, with one session that all callers' handles belong to.
type janus struct {
	cmd     *exec.Cmd
	address netip.Addr // of media
	exited  chan struct{}
	base    string // URL of the session
	client  *http.Client
	cancel  context.CancelFunc
	polling sync.WaitGroup

	mu      sync.Mutex
	waiting map[string]chan janusEvent // by transaction; guarded by mu
	next    int                        // transaction; guarded by mu
}

// janusEvent is what Janus says, as far as it matters here.
type janusEvent struct {
	Janus       string
	Transaction string
	Data        struct{ ID int64 }
	Error       struct{ Reason string }
	JSEP        struct{ SDP string }
	Plugindata  struct {
		Data struct{ Error string }
	}
}

// startJanus starts it. The error is errNoJanus if it is not installed.
func startJanus(dir string) (j *janus, err error) {
	program, err := exec.LookPath("janus")
	if err != nil {
		return nil, errNoJanus
	}
	libraries, err := filepath.Glob(janusLibraries)
	if err != nil || len(libraries) == 0 {
		return nil, errNoJanus
	}
	if dir, err = os.MkdirTemp(dir, "janus"); err != nil {
		return nil, err
	}
	port, err := freeport.One()
	if err != nil {
		return nil, err
	}
	address, err := ownAddress()
	if err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		"janus.jcfg":                    fmt.Sprintf(janusMain, dir, libraries[0], address),
		"janus.transport.http.jcfg":     fmt.Sprintf(janusHTTP, port),
		"janus.plugin.audiobridge.jcfg": fmt.Sprintf(janusRoom, opusRate),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	j = &janus{
		cmd: exec.Command(program, "-F", dir, "-C", filepath.Join(dir, "janus.jcfg")), exited: make(chan struct{}),
		address: address, client: &http.Client{}, cancel: cancel, waiting: map[string]chan janusEvent{},
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	j.cmd.Stdout, j.cmd.Stderr = log, log
	j.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := j.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = j.cmd.Wait() // it is killed
		close(j.exited)
	}()
	if err := j.open(ctx, fmt.Sprintf("http://127.0.0.1:%d/janus", port)); err != nil {
		j.close()
		said, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("start Janus: %w\n%s", err, said)
	}
	j.polling.Go(func() { j.poll(ctx) })
	return j, nil
}

// ownAddress is an address of the machine that is not on loopback.
func ownAddress() (netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
			return p.Addr(), nil
		}
	}
	return netip.Addr{}, errors.New("the machine has no address of IPv4 but loopback, which Janus does not use")
}

func (j *janus) source(call) netip.Addr { return j.address }

func (*janus) name() string                             { return "janus" }
func (j *janus) pid() int                               { return j.cmd.Process.Pid }
func (*janus) metrics(context.Context) (metrics, error) { return nil, nil }

func (j *janus) close() {
	j.cancel()
	_ = j.cmd.Process.Kill() // unless it has ended already
	<-j.exited
	j.polling.Wait()
	j.client.CloseIdleConnections()
}

// open waits for Janus and makes the session.
func (j *janus) open(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		e, err := j.post(ctx, base, map[string]any{"janus": "create", "transaction": "create"})
		if err == nil {
			j.base = fmt.Sprintf("%s/%d", base, e.Data.ID)
			return nil
		}
		select {
		case <-j.exited:
			return errors.New("it ended")
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (j *janus) post(ctx context.Context, where string, what map[string]any) (e janusEvent, err error) {
	body, err := json.Marshal(what)
	if err != nil {
		return e, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, where, bytes.NewReader(body))
	if err != nil {
		return e, err
	}
	text, _, err := do(j.client, r, http.StatusOK)
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return e, fmt.Errorf("%s: %w", text, err)
	}
	if e.Janus == "error" {
		return e, errors.New(e.Error.Reason)
	}
	return e, nil
}

// poll takes the session's events until ctx ends.
func (j *janus) poll(ctx context.Context) {
	for ctx.Err() == nil {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, j.base+"?maxev=10", nil)
		if err != nil {
			return
		}
		resp, err := j.client.Do(r)
		if err != nil {
			continue // ctx has ended, or Janus: then those who wait are out of patience
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		var events []janusEvent
		if err != nil || json.Unmarshal(text, &events) != nil {
			continue
		}
		for _, e := range events {
			j.mu.Lock()
			if w := j.waiting[e.Transaction]; w != nil {
				w <- e // it has room for the one
				delete(j.waiting, e.Transaction)
			}
			j.mu.Unlock()
		}
	}
}

// ask asks a handle's plugin, and waits for its event.
func (j *janus) ask(ctx context.Context, handle int64, body map[string]any, offer string) (e janusEvent, err error) {
	answer := make(chan janusEvent, 1)
	j.mu.Lock()
	j.next++
	transaction := strconv.Itoa(j.next)
	j.waiting[transaction] = answer
	j.mu.Unlock()
	defer func() {
		j.mu.Lock()
		delete(j.waiting, transaction)
		j.mu.Unlock()
	}()
	what := map[string]any{"janus": "message", "transaction": transaction, "body": body}
	if offer != "" {
		what["jsep"] = map[string]string{"type": "offer", "sdp": offer}
	}
	if _, err := j.post(ctx, fmt.Sprintf("%s/%d", j.base, handle), what); err != nil {
		return e, err
	}
	select {
	case e = <-answer:
	case <-ctx.Done():
		return e, ctx.Err()
	}
	if e.Plugindata.Data.Error != "" {
		return e, errors.New(e.Plugindata.Data.Error)
	}
	return e, nil
}

// join attaches a handle to the AudioBridge and joins its room; rooms' names are not looked at.
func (j *janus) join(ctx context.Context, c call, offer string) (answer string, leave func(context.Context) error, err error) {
	e, err := j.post(ctx, j.base, map[string]any{"janus": "attach", "plugin": "janus.plugin.audiobridge", "transaction": "attach"})
	if err != nil {
		return "", nil, fmt.Errorf("attach: %w", err)
	}
	handle := e.Data.ID
	leave = func(ctx context.Context) error {
		_, err := j.post(ctx, fmt.Sprintf("%s/%d", j.base, handle), map[string]any{"janus": "detach", "transaction": "detach"})
		return err
	}
	if _, err = j.ask(ctx, handle, map[string]any{"request": "join", "room": 1, "display": c.name, "quality": janusQuality}, ""); err == nil {
		e, err = j.ask(ctx, handle, map[string]any{"request": "configure", "muted": c.watches}, offer)
	}
	if err != nil {
		return "", nil, errors.Join(err, leave(ctx))
	}
	return e.JSEP.SDP, leave, nil
}
