package phone

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"rendezvous/internal/freeport"
	"rendezvous/internal/lab/network"
)

// Config says what kind of telephone is wanted.
type Config struct {
	User      string        // user part of its address; "": "phone"
	Name      string        // display name; must fit between quotation marks
	Transport string        // "udp", "tcp", "tls"; "": udp
	Codecs    []string      // as baresip writes them: "opus/48000/2", "G722/16000/1", "PCMU/8000/1"; none: all
	MediaEnc  string        // "": none, "srtp", "srtp-mand", "srtp-mandf"
	Tone      float64       // Hz, what it says; 0: silence
	Talks     time.Duration // how long, since its start; 0: two minutes
	Video     bool          // sends a test picture: bars of red, green and blue
	VideoOnly string        // its only video codec: "H264", "VP8"; "": all
	DTMFInfo  bool          // keys by SIP INFO, else RFC 4733
	Answer    bool          // answers calls by itself
	NetNS     string        // the network namespace that it runs in (needs root); "": ours
	Addr      string        // its IP address there; "": 127.0.0.1

	// Registrar, if set ("sip:127.0.0.1:5070"), is registered with as User.
	Registrar string
	Password  string // of User, for whoever asks
}

// Phone is a running baresip.
type Phone struct {
	dir     string
	cmd     *exec.Cmd
	out     bytes.Buffer // guarded by outMu
	outMu   sync.Mutex
	control net.Conn // JSON in netstrings
	keys    net.Conn // one byte per key
	netNS   string
	addr    string
	port    int
	tls     bool
	done    chan struct{}

	mu     sync.Mutex // guards what follows
	events []Event
	more   chan struct{} // replaced and closed with every event
}

// Event is something baresip tells, such as CALL_ESTABLISHED.
type Event struct {
	Type  string `json:"type"`
	Class string `json:"class"`
	Param string `json:"param"`
	Peer  string `json:"peeruri"`
}

// usualTalk is how long a telephone talks if nothing else is asked for.
const usualTalk = 2 * time.Minute

// errEnded means that baresip did not stay.
var errEnded = errors.New("baresip has ended")

// Start starts a telephone in a folder of its own.
func Start(ctx context.Context, cfg Config) (*Phone, error) {
	for tries := 0; ; tries++ {
		p, err := start(ctx, cfg)
		// Somebody else may have taken a port between our look and baresip's.
		if !errors.Is(err, errEnded) || tries == 2 {
			return p, err
		}
	}
}

func start(ctx context.Context, cfg Config) (p *Phone, err error) {
	if _, err := exec.LookPath("baresip"); err != nil {
		return nil, fmt.Errorf("start telephone: install the Debian packages baresip-core and baresip-ffmpeg: %w", err)
	}
	dir, err := os.MkdirTemp("", "phone-")
	if err != nil {
		return nil, fmt.Errorf("start telephone: %w", err)
	}
	p = &Phone{dir: dir, netNS: cfg.NetNS, addr: cmp.Or(cfg.Addr, "127.0.0.1"), done: make(chan struct{}), more: make(chan struct{})}
	defer func() {
		if err != nil {
			err = fmt.Errorf("start telephone: %w\n%s", err, p.Log())
			p.Close()
		}
	}()
	ports, err := freeport.Take(3)
	if err != nil {
		return p, err
	}
	p.port, p.tls = ports[0], cfg.Transport == "tls"
	if err := p.configure(cfg, ports); err != nil {
		return p, err
	}
	p.cmd = exec.Command("baresip", "-f", dir, "-4")
	if p.netNS != "" {
		p.cmd = network.Command(context.Background(), p.netNS, "baresip", "-f", dir, "-4")
	}
	p.cmd.Dir = dir
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.Env = append(os.Environ(), "HOME="+dir)
	p.cmd.Stdout = writer(p.write)
	p.cmd.Stderr = p.cmd.Stdout
	if err := p.cmd.Start(); err != nil {
		p.cmd = nil
		return p, err
	}
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	if p.control, err = p.connect(ctx, ports[1]); err != nil {
		return p, err
	}
	if p.keys, err = p.connect(ctx, ports[2]); err != nil {
		return p, err
	}
	go p.listen(p.control)
	return p, nil
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func (p *Phone) write(b []byte) (int, error) {
	p.outMu.Lock()
	defer p.outMu.Unlock()
	return p.out.Write(b)
}

// Log is what baresip has printed.
func (p *Phone) Log() string {
	p.outMu.Lock()
	defer p.outMu.Unlock()
	return p.out.String()
}

// connect connects to baresip as soon as it listens.
func (p *Phone) connect(ctx context.Context, port int) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		conn, err := p.dial(net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return conn, nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-p.done:
			return nil, errEnded
		case <-ctx.Done():
			return nil, err
		}
	}
}

// dial connects to a port of its, where it runs.
func (p *Phone) dial(addr string) (conn net.Conn, err error) {
	if p.netNS == "" {
		return net.Dial("tcp", addr)
	}
	err = network.Do(p.netNS, func() (err error) {
		conn, err = net.Dial("tcp", addr)
		return err
	})
	return conn, err
}

// listen reads events until the connection closes.
func (p *Phone) listen(conn net.Conn) {
	r := bufio.NewReader(conn)
	for {
		size, err := r.ReadString(':')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSuffix(size, ":"))
		if err != nil || n > 1<<20 {
			return
		}
		body := make([]byte, n+1) // with the comma
		for read := 0; read < len(body); {
			k, err := r.Read(body[read:])
			if err != nil {
				return
			}
			read += k
		}
		var e struct {
			Event
			IsEvent bool `json:"event"`
		}
		if json.Unmarshal(body[:n], &e) != nil || !e.IsEvent {
			continue
		}
		p.mu.Lock()
		p.events = append(p.events, e.Event)
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
}

// Command gives baresip a command with parameters: "dial sip:room@host".
func (p *Phone) Command(line string) error {
	name, params, _ := strings.Cut(line, " ")
	body, err := json.Marshal(map[string]string{"command": name, "params": params})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(p.control, "%d:%s,", len(body), body); err != nil {
		return fmt.Errorf("command %q: %w", line, err)
	}
	return nil
}

// Dial calls a SIP address and returns when it is answered.
func (p *Phone) Dial(ctx context.Context, uri string) error {
	from := p.Mark()
	if err := p.Command("dial " + uri); err != nil {
		return err
	}
	e, err := p.Wait(ctx, from, "CALL_ESTABLISHED", "CALL_CLOSED")
	if err != nil {
		return fmt.Errorf("dial %s: %w", uri, err)
	}
	if e.Type == "CALL_CLOSED" {
		return fmt.Errorf("dial %s: %s", uri, e.Param)
	}
	return nil
}

// Hangup ends the call.
func (p *Phone) Hangup() error { return p.Command("hangup") }

// Press presses keys as on the telephone's keypad.
func (p *Phone) Press(ctx context.Context, keys string) error {
	for _, k := range []byte(keys) {
		// Byte 4 tells baresip that the key is let go.
		for _, b := range []byte{k, 4} {
			if _, err := p.keys.Write([]byte{b}); err != nil {
				return fmt.Errorf("press %c: %w", k, err)
			}
			select {
			case <-time.After(120 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// Mark is a position in the events, for Wait.
func (p *Phone) Mark() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.events)
}

// Wait returns the first event of one of the types after a mark.
func (p *Phone) Wait(ctx context.Context, from int, types ...string) (Event, error) {
	for {
		p.mu.Lock()
		for _, e := range p.events[min(from, len(p.events)):] {
			if slices.Contains(types, e.Type) {
				p.mu.Unlock()
				return e, nil
			}
		}
		more := p.more
		p.mu.Unlock()
		select {
		case <-more:
		case <-p.done:
			return Event{}, fmt.Errorf("baresip has ended:\n%s", p.Log())
		case <-ctx.Done():
			return Event{}, fmt.Errorf("no %s: %w\n%s", strings.Join(types, " or "), ctx.Err(), p.Log())
		}
	}
}

// URI is where the telephone itself can be called.
func (p *Phone) URI(user string) string {
	port := p.port
	if p.tls {
		port++ // baresip listens for TLS on the next port
	}
	return fmt.Sprintf("sip:%s@%s:%d", user, p.addr, port)
}

// Heard returns the file with what was heard in the newest call: a WAV of the
// codec's rate. It is complete when the call is over.
func (p *Phone) Heard() (string, error) {
	files, err := filepath.Glob(filepath.Join(p.dir, "heard", "*-dec.wav"))
	if err != nil || len(files) == 0 {
		return "", fmt.Errorf("nothing was heard\n%s", p.Log())
	}
	newest, newestTime := "", time.Time{}
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && !info.ModTime().Before(newestTime) {
			newest, newestTime = f, info.ModTime()
		}
	}
	return newest, nil
}

// Snapshot returns the next picture the telephone sees, decoded by itself.
func (p *Phone) Snapshot(ctx context.Context) (image.Image, error) {
	file := filepath.Join(p.dir, "seen.png")
	os.Remove(file)
	if err := p.Command("snapshot_recv " + file); err != nil {
		return nil, err
	}
	for {
		if f, err := os.Open(file); err == nil {
			picture, err := png.Decode(f)
			f.Close()
			if err == nil { // else it is being written
				return picture, nil
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("no snapshot: %w", ctx.Err())
		}
	}
}

// Close ends the telephone and removes its folder.
func (p *Phone) Close() {
	for _, c := range []net.Conn{p.control, p.keys} {
		if c != nil {
			c.Close()
		}
	}
	if p.cmd != nil {
		p.cmd.Process.Signal(os.Interrupt)
		select {
		case <-p.done:
		case <-time.After(5 * time.Second):
			p.cmd.Process.Kill()
			<-p.done
		}
	}
	os.RemoveAll(p.dir)
}
