package jamilab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

// Names of the daemon on its bus.
const (
	busName    = "cx.ring.Ring"
	objectPath = "/cx/ring/Ring/"

	ownerChanged = "NameOwnerChanged" // of the bus itself: who has a name
)

// Signal is what a daemon told its clients.
type Signal struct {
	Time time.Time
	Name string // without the interface
	Args []any
}

// String renders the signal for a log.
func (s Signal) String() string {
	b, err := json.Marshal(s.Args)
	if err != nil {
		return fmt.Sprintf("%s %v", s.Name, s.Args)
	}
	return s.Name + " " + string(b)
}

// Text returns the i-th argument if it is a string.
func (s Signal) Text(i int) string {
	if i < len(s.Args) {
		if t, ok := s.Args[i].(string); ok {
			return t
		}
	}
	return ""
}

// Peer is one daemon of a lab. All its signals are recorded from the start.
type Peer struct {
	lab  *Lab
	name string
	bus  *dbus.Conn

	Account string // id of its account in the daemon, after NewAccount
	URI     string // account id: 40 hex digits
	Device  string // device id: 64 hex digits

	mu      sync.Mutex // guards the rest
	signals []Signal
	begun   int           // of them were there when the process that runs was started
	gone    bool          // from its bus: it has ended
	stuck   chan struct{} // closed once its threads wait for each other: it is locked up for good
	more    chan struct{} // closed and renewed with each change of the others
}

func dial(l *Lab, name string) (*Peer, error) {
	p := &Peer{lab: l, name: name, more: make(chan struct{}), stuck: make(chan struct{})}
	var err error
	if p.bus, err = dbus.Connect("unix:path=" + filepath.Join(p.dir(), "bus")); err != nil {
		return nil, fmt.Errorf("jamilab: bus of %s: %w", name, err)
	}
	err = errors.Join(p.bus.AddMatchSignal(dbus.WithMatchSender(busName)),
		p.bus.AddMatchSignal(dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember(ownerChanged), dbus.WithMatchArg(0, busName)))
	if err != nil {
		return nil, fmt.Errorf("jamilab: bus of %s: %w", name, err)
	}
	ch := make(chan *dbus.Signal, 4096)
	p.bus.Signal(ch)
	go p.record(ch) // until the bus is closed
	return p, nil
}

func (p *Peer) record(ch <-chan *dbus.Signal) {
	for s := range ch {
		name := s.Name[strings.LastIndexByte(s.Name, '.')+1:]
		p.mu.Lock()
		if name == ownerChanged && len(s.Body) == 3 { // name, old owner, new owner
			p.gone = s.Body[2] == ""
		} else {
			p.signals = append(p.signals, asBefore(Signal{time.Now(), name, s.Body}))
		}
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
}

func (p *Peer) dir() string { return filepath.Join(p.lab.run(), p.name) }

// Name is p1, p2 …, also the name of its namespace.
func (p *Peer) Name() string { return p.name }

// Home is the daemon's home folder.
func (p *Peer) Home() string { return filepath.Join(p.dir(), "home") }

// LogFile is the daemon's log, with all debug messages.
func (p *Peer) LogFile() string { return filepath.Join(p.dir(), "log") }

// LogContains reports whether the daemon has logged a text.
func (p *Peer) LogContains(text string) (bool, error) {
	n, err := p.LogCount(text)
	return n > 0, err
}

// LogCount is how often the daemon has logged a text.
func (p *Peer) LogCount(text string) (int, error) {
	b, err := os.ReadFile(p.LogFile())
	return strings.Count(string(b), text), err
}

// Sound prepares a program of PulseAudio's (paplay, parecord, pacat) that plays into the daemon's microphone (sink "mic") or records its loudspeaker
// (source "spk.monitor"). It is as urgent as PulseAudio itself: it stands for the air between a person and their machine.
func (l *Lab) Sound(ctx context.Context, p *Peer, args ...string) *exec.Cmd {
	env := []string{"-n", "-11", "env", "PULSE_SERVER=unix:" + filepath.Join(p.dir(), "run/pulse.sock"), "HOME=" + p.Home(), "XDG_RUNTIME_DIR=" + filepath.Join(p.dir(), "run")}
	return l.Command(ctx, p.Name(), "nice", append(env, args...)...)
}

// Call calls a method, "ConfigurationManager.getAccountList", and stores its
// results, if any.
func (p *Peer) Call(ctx context.Context, method string, args []any, results ...any) error {
	iface, _, ok := strings.Cut(method, ".")
	if !ok {
		return fmt.Errorf("jamilab: %q is no Interface.method", method)
	}
	if err := p.rest(ctx, method); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	p.mu.Lock()
	stuck := p.stuck
	p.mu.Unlock()
	call := func(method string, args []any) *dbus.Call {
		c := p.bus.Object(busName, dbus.ObjectPath(objectPath+iface)).GoWithContext(ctx, busName+"."+method, 0, make(chan *dbus.Call, 1), args...)
		select {
		case c = <-c.Done:
			return c
		case <-stuck:
			return &dbus.Call{Err: ErrLockedUp}
		}
	}
	c := call(method, args)
	if now, as, otherwise := asNow(method, args); otherwise && isUnknown(c.Err) {
		c = call(now, as)
	}
	if c.Err != nil {
		return fmt.Errorf("jamilab: %s: %s: %w", p.name, method, c.Err)
	}
	if len(results) > 0 {
		if err := c.Store(results...); err != nil {
			return fmt.Errorf("jamilab: %s: %s: %w", p.name, method, err)
		}
	}
	return nil
}

// lockedUp notes that the daemon will do nothing any more.
func (p *Peer) lockedUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.stuck: // known
	default:
		close(p.stuck)
	}
}

// Mark is the number of signals so far, for Wait.
func (p *Peer) Mark() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.signals)
}

// Signals returns those from the mark on that match; empty name is any.
func (p *Peer) Signals(since int, name string) []Signal {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Signal
	for _, s := range p.signals[min(since, len(p.signals)):] {
		if name == "" || s.Name == name {
			out = append(out, s)
		}
	}
	return out
}

// ErrGone says that a daemon has ended, ErrLockedUp that its threads wait for each other, while
// something was expected of it.
var (
	ErrGone     = errors.New("the daemon has ended")
	ErrLockedUp = errors.New("the daemon is locked up")
)

// Wait returns the first signal from the mark on that has the name and matches
// (nil matches any), at once or when it comes. The error is ErrGone if the daemon
// has ended without it, ErrLockedUp if it never will.
func (p *Peer) Wait(ctx context.Context, since int, name string, match func(Signal) bool) (Signal, error) {
	for i := since; ; {
		p.mu.Lock()
		for ; i < len(p.signals); i++ {
			if s := p.signals[i]; s.Name == name && (match == nil || match(s)) {
				p.mu.Unlock()
				return s, nil
			}
		}
		more, gone, stuck := p.more, p.gone, p.stuck
		p.mu.Unlock()
		if gone {
			return Signal{}, fmt.Errorf("jamilab: %s: no signal %s: %w", p.name, name, ErrGone)
		}
		select {
		case <-stuck:
			return Signal{}, fmt.Errorf("jamilab: %s: no signal %s: %w", p.name, name, ErrLockedUp)
		case <-more:
		case <-ctx.Done():
			return Signal{}, fmt.Errorf("jamilab: %s: no signal %s: %w", p.name, name, ctx.Err())
		}
	}
}

// Set changes details of the account, such as DHT.PublicInCalls.
func (p *Peer) Set(ctx context.Context, details map[string]string) error {
	var d map[string]string
	if err := p.Call(ctx, "ConfigurationManager.getAccountDetails", []any{p.Account}, &d); err != nil {
		return err
	}
	maps.Copy(d, details)
	return p.Call(ctx, "ConfigurationManager.setAccountDetails", []any{p.Account, d})
}

// Stop ends the daemon, Crash kills it, Start starts it again (its account
// comes back; WaitRegistered tells when).
func (p *Peer) Stop() error { return p.lab.do("stop", p.name) }

// Crash kills the daemon.
func (p *Peer) Crash() error { return p.lab.do("crash", p.name) }

// Start starts a daemon that was stopped.
func (p *Peer) Start() error {
	p.mu.Lock()
	p.begun = len(p.signals)
	p.stuck = make(chan struct{})
	p.mu.Unlock()
	if err := p.lab.do("start", p.name); err != nil {
		return err
	}
	return p.back()
}

// back waits until the bus has told that the daemon, which is on it, is back.
func (p *Peer) back() error {
	late := time.After(10 * time.Second)
	for {
		p.mu.Lock()
		more, gone := p.more, p.gone
		p.mu.Unlock()
		if !gone {
			return nil
		}
		select {
		case <-more:
		case <-late:
			return fmt.Errorf("jamilab: %s: the bus does not tell that it is back", p.name)
		}
	}
}

// ErrCall says that a call did not come about.
var ErrCall = errors.New("jamilab: call failed")

// Media is a media list of a call: with audio, and with video from a file
// ("file:///clip.mp4"), the camera ("") or none (nil).
func Media(video *string) []map[string]string {
	m := []map[string]string{{"MEDIA_TYPE": "MEDIA_TYPE_AUDIO", "ENABLED": "true", "MUTED": "false", "SOURCE": "", "LABEL": "audio_0"}}
	if video != nil {
		m = append(m, map[string]string{"MEDIA_TYPE": "MEDIA_TYPE_VIDEO", "ENABLED": "true", "MUTED": "false", "SOURCE": *video, "LABEL": "video_0"})
	}
	return m
}

// PlaceCall dials an account and returns the call id at once. Never ask this
// daemon for getCallDetails of a call that is not established: it crashes.
func (p *Peer) PlaceCall(ctx context.Context, uri string, media []map[string]string) (string, error) {
	var id string
	if err := p.Call(ctx, "CallManager.placeCallWithMedia", []any{p.Account, uri, media}, &id); err != nil {
		return "", err
	}
	if id == "" {
		return "", fmt.Errorf("%w: not placed", ErrCall)
	}
	return id, nil
}

// WaitCall waits until a call has the state, "CURRENT", or is over. A call that
// failed or was declined is OVER in the end too.
func (p *Peer) WaitCall(ctx context.Context, id, state string) error {
	s, err := p.Wait(ctx, 0, "callStateChanged", func(s Signal) bool {
		if s.Text(1) != id {
			return false
		}
		switch s.Text(2) {
		case state, "OVER":
			return true
		case "FAILURE", "BUSY":
			return state != "OVER"
		}
		return false
	})
	if err != nil {
		return err
	}
	if s.Text(2) != state {
		return fmt.Errorf("%w: it is %s", ErrCall, s.Text(2))
	}
	return nil
}

// HangUp ends a call.
func (p *Peer) HangUp(ctx context.Context, id string) error {
	return p.Call(ctx, "CallManager.hangUp", []any{p.Account, id})
}

// OpenVideo opens a file as video source before a call uses it: this daemon
// loses a race with itself when a call opens one.
func (p *Peer) OpenVideo(ctx context.Context, source string) error {
	for range 20 {
		mark := p.Mark()
		if err := p.Call(ctx, "VideoManager.openVideoInput", []any{source}); err != nil {
			return err
		}
		wctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := p.Wait(wctx, mark, "decodingStarted", func(s Signal) bool { return s.Text(0) == source })
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		if p.open(source) {
			return nil // already
		}
		if err := p.Call(ctx, "VideoManager.closeVideoInput", []any{source}); err != nil {
			return err
		}
	}
	return fmt.Errorf("jamilab: %s: cannot open %s", p.name, source)
}

// open reports whether the daemon has a video source open. What one that was stopped before had open
// does not count: it told nobody of its end.
func (p *Peer) open(source string) bool {
	p.mu.Lock()
	since := p.begun
	p.mu.Unlock()
	return count(p.Signals(since, "decodingStarted"), source) > count(p.Signals(since, "decodingStopped"), source)
}

func count(signals []Signal, first string) int {
	n := 0
	for _, s := range signals {
		if s.Text(0) == first {
			n++
		}
	}
	return n
}
