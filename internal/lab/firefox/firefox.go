package firefox

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"
)

// Firefox is a running one with one page.
type Firefox struct {
	profile string
	sound   *exec.Cmd // a sound card that plays to nobody: without one Firefox's clock of sound stands still
	browser *exec.Cmd
	socket  *websocket.Conn
	ended   chan struct{}  // closed when the browser is gone
	waiting sync.WaitGroup // for the processes and their output

	mu      sync.Mutex // guards one question and its answer at a time
	asked   int
	context string // of its page
}

// startTimeout is how long a Firefox may take to start on a busy machine.
const startTimeout = 90 * time.Second

// preferences let a page have camera and microphone without asking, and keep Firefox from calling home.
const preferences = `user_pref("media.navigator.streams.fake", true);
user_pref("media.navigator.audio.fake_frequency", %d);
user_pref("media.navigator.permission.disabled", true);
user_pref("media.autoplay.default", 0);
user_pref("media.peerconnection.ice.loopback", true);
user_pref("media.peerconnection.ice.obfuscate_host_addresses", false);
user_pref("media.gmp-manager.updateEnabled", false);
user_pref("app.update.enabled", false);
user_pref("app.normandy.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("extensions.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("services.settings.server", "data:,");
user_pref("toolkit.telemetry.enabled", false);
`

var listening = regexp.MustCompile(`WebDriver BiDi listening on (ws://\S+)`)

// Start starts a Firefox whose microphone has a tone of hz. Close ends it. The error says that there is no firefox-esr, or why it
// cannot be driven.
func Start(ctx context.Context, hz int) (*Firefox, error) {
	program, err := exec.LookPath("firefox-esr")
	if err != nil {
		return nil, fmt.Errorf("the browser tests need Debian's firefox-esr package: %w", err)
	}
	profile, err := os.MkdirTemp("", "rendezvous-firefox-")
	if err != nil {
		return nil, err
	}
	f := &Firefox{profile: profile, ended: make(chan struct{})}
	if err := f.start(ctx, program, hz); err != nil {
		return nil, errors.Join(fmt.Errorf("starting Firefox: %w", err), f.Close())
	}
	return f, nil
}

func (f *Firefox) start(ctx context.Context, program string, hz int) error {
	server := filepath.Join(f.profile, "sound")
	f.sound = exec.Command("pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1",
		"-L", "module-null-sink", "-L", "module-native-protocol-unix auth-anonymous=1 socket="+server)
	f.sound.Env = append(os.Environ(), "HOME="+f.profile, "XDG_RUNTIME_DIR="+f.profile)
	if err := f.sound.Start(); err != nil {
		f.sound = nil
		return err
	}
	f.waiting.Go(func() { _ = f.sound.Wait() }) // it is killed
	if err := os.WriteFile(filepath.Join(f.profile, "user.js"), fmt.Appendf(nil, preferences, hz), 0o600); err != nil {
		return err
	}
	cmd := exec.Command(program, "--headless", "--no-remote", "--profile", f.profile, "--remote-debugging-port", "0", "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+f.profile, "PULSE_SERVER=unix:"+server, "MOZ_CRASHREPORTER_DISABLE=1", "MOZ_DISABLE_CONTENT_SANDBOX=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its processes go with it
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return err
	}
	f.browser = cmd
	f.waiting.Go(func() { _ = cmd.Wait(); close(f.ended) }) // how it ends is of no interest
	address := make(chan string, 1)
	f.waiting.Go(func() {
		defer r.Close()
		for s := bufio.NewScanner(r); s.Scan(); {
			if m := listening.FindStringSubmatch(s.Text()); m != nil {
				address <- m[1]
				break
			}
		}
		_, _ = io.Copy(io.Discard, r)
	})
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case a := <-address:
		return f.session(ctx, a)
	case <-f.ended:
		return errors.New("it has ended")
	case <-ctx.Done():
		return errors.New("it cannot be driven")
	}
}

// maxAnswer bounds an answer: screenshots are the largest.
const maxAnswer = 32 << 20

// session opens a WebDriver session and finds the page.
func (f *Firefox) session(ctx context.Context, address string) error {
	socket, _, err := websocket.Dial(ctx, address+"/session", nil)
	if err != nil {
		return err
	}
	f.socket = socket
	socket.SetReadLimit(maxAnswer)
	if err := f.ask(ctx, "session.new", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{"acceptInsecureCerts": true}}}, nil); err != nil {
		return err
	}
	var tree struct {
		Contexts []struct{ Context string }
	}
	if err := f.ask(ctx, "browsingContext.getTree", map[string]any{}, &tree); err != nil {
		return err
	}
	if len(tree.Contexts) == 0 {
		return errors.New("it has no page")
	}
	f.context = tree.Contexts[0].Context
	return nil
}

// ask sends a command and waits for its result.
func (f *Firefox) ask(ctx context.Context, method string, params map[string]any, result any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	b, err := json.Marshal(map[string]any{"id": f.asked, "method": method, "params": params})
	if err != nil {
		return err
	}
	if err := f.socket.Write(ctx, websocket.MessageText, b); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	for {
		_, b, err := f.socket.Read(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		var answer struct {
			ID             int
			Type           string
			Error, Message string
			Result         json.RawMessage
		}
		if err := json.Unmarshal(b, &answer); err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		switch {
		case answer.ID != f.asked: // an event
		case answer.Type == "error":
			return fmt.Errorf("%s: %s: %s", method, answer.Error, answer.Message)
		case result == nil:
			return nil
		default:
			return json.Unmarshal(answer.Result, result)
		}
	}
}

// Open loads a page.
func (f *Firefox) Open(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return f.ask(ctx, "browsingContext.navigate", map[string]any{"context": f.context, "url": url, "wait": "complete"}, nil)
}

// Eval evaluates an expression in the page, awaits it if it is a promise, and decodes what comes of it into v, if that is not nil.
func (f *Firefox) Eval(expression string, v any) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var answer struct {
		Type             string
		Result           struct{ Value string }
		ExceptionDetails struct{ Text string }
	}
	err := f.ask(ctx, "script.evaluate", map[string]any{
		"expression": "(async () => JSON.stringify((await (" + expression + ")) ?? null))()", "target": map[string]any{"context": f.context},
		"awaitPromise": true, "userActivation": true,
	}, &answer)
	if err != nil {
		return err
	}
	if answer.Type != "success" {
		return fmt.Errorf("evaluating %.60q: %s", expression, answer.ExceptionDetails.Text)
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal([]byte(answer.Result.Value), v)
}

// WaitFor waits until an expression is true in the page.
func (f *Firefox) WaitFor(expression string, timeout time.Duration) error {
	for end := time.Now().Add(timeout); ; time.Sleep(100 * time.Millisecond) {
		var ok bool
		err := f.Eval("Boolean("+expression+")", &ok)
		if err != nil {
			return err
		}
		if ok {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("waited %s in vain for %s", timeout, expression)
		}
	}
}

// Screenshot writes what the window shows to a PNG file.
func (f *Firefox) Screenshot(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var shot struct{ Data string }
	if err := f.ask(ctx, "browsingContext.captureScreenshot", map[string]any{"context": f.context}, &shot); err != nil {
		return err
	}
	b, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}

// Close ends it, and all of its processes.
func (f *Firefox) Close() error {
	if f.socket != nil {
		_ = f.socket.CloseNow() // the process ends next
	}
	if f.browser != nil {
		_ = syscall.Kill(-f.browser.Process.Pid, syscall.SIGKILL) // fails if it has ended
	}
	if f.sound != nil {
		_ = f.sound.Process.Kill()
	}
	f.waiting.Wait()
	return os.RemoveAll(f.profile)
}
