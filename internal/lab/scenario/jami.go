package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"rendezvous/internal/hosttest"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/internal/lab/network"
	"rendezvous/internal/netlink"
)

// Daemon is what happens to the path of a Jami daemon that receives, of whom only the packets are looked at: played
// once in a room of ours and once in a conference that another daemon hosts. There are no targets but to be the better one.
func Daemon() Scenario {
	s := Scenario{
		Name: "jami", Title: "receiver, a Jami daemon: open -> 500 kbit/s -> 150 kbit/s -> open -> 10 % lost; queue of 500 ms",
		Steps: []Step{
			{"open", 8 * sec, nil},
			{"500k", 25 * sec, []Path{link(receiver, Down, netlink.Settings{Rate: 500 * kbit, Queue: 500 * ms})}},
			{"150k", 20 * sec, []Path{link(receiver, Down, netlink.Settings{Rate: 150 * kbit, Queue: 500 * ms})}},
			{"again", 15 * sec, []Path{open(receiver, Down)}},
			{"loss", 15 * sec, []Path{link(receiver, Down, netlink.Settings{Loss: 0.1})}},
		},
	}
	for _, step := range s.Steps {
		s.Targets = append(s.Targets,
			most(step.Name+": queue, 95 %", "ms-queue", 200, queue(receiver, step.Name, 0, 0.95)),
			most(step.Name+": sound lost", "%", 1, soundLost(receiver, step.Name)),
			least(step.Name+": whole pictures a second", "1/s", 20, func(r *Result) float64 { return received(receiver, step.Name)(r).Rate }),
			most(step.Name+": longest without a whole picture", "s-freeze", 0.7, func(r *Result) float64 { return received(receiver, step.Name)(r).Longest.Seconds() }),
		)
	}
	return s
}

// receiver is the daemon behind the bad path, opusOfJami the payload type that daemons give Opus.
const (
	receiver   = "p1"
	opusOfJami = 104
)

// daemons is a laboratory with two callers, of whom one is behind a cable of ours, and a third daemon that may be the host.
type daemons struct {
	lab    *jamilab.Lab
	cable  *network.Cable
	dir    string
	host   *hosttest.Process // nil: the third daemon is
	speech *exec.Cmd
}

// PlayWithDaemons plays Daemon's scenario, with ours or with a daemon as host.
func PlayWithDaemons(ctx context.Context, o Options, ours bool) (result *Result, err error) {
	s := Daemon()
	defer func() {
		if err != nil {
			err = fmt.Errorf("scenario %s: %w", s.Name, err)
		}
	}()
	if o.Say == nil {
		o.Say = func(string, ...any) {}
	}
	dir, err := os.MkdirTemp("", "rendezvous-scenario-")
	if err != nil {
		return nil, err
	}
	d := &daemons{dir: dir}
	defer func() { err = errors.Join(err, d.end()) }()
	o.Say("the daemons")
	if err := d.begin(ctx, o, ours); err != nil {
		return nil, err
	}
	r := &Result{Spans: map[string]Span{}, Trace: map[string]Traces{}}
	for _, step := range s.Steps {
		o.Say("%s, %v", step.Name, step.For)
		begin := time.Now()
		for _, p := range step.Paths {
			d.cable.Down.Set(p.settings())
		}
		if err := pause(ctx, step.For); err != nil {
			return nil, err
		}
		r.Spans[step.Name] = Span{begin, begin.Add(step.For)}
	}
	r.Trace[receiver] = Traces{Up: d.cable.Up.Trace(), Down: d.cable.Down.Trace()}
	_, r.Late = d.cable.Late()
	return r, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin has both callers in the conference, the second of whom shows and says something.
func (d *daemons) begin(ctx context.Context, o Options, ours bool) (err error) {
	if d.lab, err = jamilab.Up(ctx, jamilab.Options{Peers: 3, Sound: true}); err != nil {
		return err
	}
	if err := d.plug(); err != nil {
		return err
	}
	if err := jamilab.Accounts(ctx, d.lab.Peers()...); err != nil {
		return err
	}
	room, err := d.room(ctx, o, ours)
	if err != nil {
		return err
	}
	clip, tone := filepath.Join(d.dir, "clip.mp4"), filepath.Join(d.dir, "tone.wav")
	for _, args := range [][]string{
		{"-f", "lavfi", "-i", "testsrc2=s=640x360:r=30:d=60", "-vf", "scroll=h=0.0125,noise=alls=8:allf=t", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "30", clip},
		{"-f", "lavfi", "-i", "sine=frequency=1000:sample_rate=48000:duration=600", "-af", "volume=6dB", tone},
	} {
		if out, err := exec.CommandContext(ctx, "ffmpeg", append([]string{"-v", "error", "-y"}, args...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("make a film and a tone: %w: %s", err, out)
		}
	}
	source := "file://" + clip
	for _, p := range []*jamilab.Peer{d.lab.Peer(2), d.lab.Peer(1)} {
		if err := p.OpenVideo(ctx, source); err != nil {
			return err
		}
		if err := d.call(ctx, p, room, source); err != nil {
			return err
		}
	}
	speaker := d.lab.Peer(2)
	d.speech = d.lab.Sound(ctx, speaker, "paplay", "-d", "mic", tone)
	if err := d.speech.Start(); err != nil {
		return err
	}
	return pause(ctx, phoneSettled)
}

// plug replaces the cable of the first daemon by one of ours.
func (d *daemons) plug() error {
	own, bridge := d.lab.Namespace(receiver), d.lab.Namespace("sw")
	addr, err := d.lab.Addr(receiver)
	if err != nil {
		return err
	}
	gateway, err := d.lab.Addr("sw")
	if err != nil {
		return err
	}
	if err := ip("-n", own, "link", "del", "eth0"); err != nil {
		return err
	}
	if d.cable, err = network.NewCable(1, network.End{Namespace: own, Device: "eth0"}, network.End{Namespace: bridge, Device: "box0"}); err != nil {
		return err
	}
	usual := open(receiver, Both).settings()
	usual.SoundPT = opusOfJami
	d.cable.Up.Set(usual)
	d.cable.Down.Set(usual)
	return errors.Join(
		ip("-n", bridge, "link", "set", "box0", "master", "br0"),
		ip("-n", own, "addr", "add", addr.String()+"/24", "dev", "eth0"),
		ip("-n", own, "route", "add", "default", "via", gateway.String()))
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// room is whom to call.
func (d *daemons) room(ctx context.Context, o Options, ours bool) (id string, err error) {
	if !ours {
		host := d.lab.Peer(3)
		return host.URI, host.Set(ctx, map[string]string{"Account.rendezVous": "true"})
	}
	site, err := hosttest.Prepare(d.dir, o.Program, o.Config, append([]string{
		"RENDEZVOUS_JAMI_ENABLED=true", "RENDEZVOUS_JAMI_BOOTSTRAP=" + jamilab.Bootstrap, "RENDEZVOUS_JAMI_STUN=", "RENDEZVOUS_ROOMS_MAIN_RECORDING=off",
		"RENDEZVOUS_ROOMS_MAIN_NOISE_GATE=false", "RENDEZVOUS_ROOMS_MAIN_MUTE_HOWLING=false", "RENDEZVOUS_ROOMS_MAIN_ECHO=off",
	}, o.Env...)...)
	if err != nil {
		return "", err
	}
	inside := []string{"ip", "netns", "exec", d.lab.Namespace("app")}
	site.Wrap = inside
	if d.host, err = site.Launch(); err != nil {
		return "", err
	}
	for end := time.Now().Add(time.Minute); ; {
		ask := site.Command(ctx, "rooms", "--json")
		ask.Args = append(append([]string{}, inside...), ask.Args...)
		if ask.Path, err = exec.LookPath("ip"); err != nil {
			return "", err
		}
		out, err := ask.Output()
		var rooms []struct{ Addresses struct{ Jami string } }
		if err == nil && json.Unmarshal(out, &rooms) == nil && len(rooms) > 0 && len(rooms[0].Addresses.Jami) == 40 {
			return rooms[0].Addresses.Jami, nil
		}
		if time.Now().After(end) {
			return "", errors.Join(fmt.Errorf("the room has no Jami id: %s", d.host.Output()), err)
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return "", err
		}
	}
}

// call has a daemon call, again if its call comes to nothing, as people do.
func (d *daemons) call(ctx context.Context, p *jamilab.Peer, room, source string) error {
	for try := 1; ; try++ {
		id, err := p.PlaceCall(ctx, room, jamilab.Media(&source))
		if err != nil {
			return err
		}
		soon, cancel := context.WithTimeout(ctx, 45*time.Second)
		err = p.WaitCall(soon, id, "CURRENT")
		cancel()
		if err == nil {
			return nil
		}
		if try == 3 {
			return fmt.Errorf("%s calls: %w", p.Name(), err)
		}
		_ = p.HangUp(ctx, id) // it may be over
	}
}

func (d *daemons) end() error {
	var errs []error
	if d.speech != nil {
		_ = d.speech.Process.Kill()
		_ = d.speech.Wait() // it was killed
	}
	if d.host != nil {
		errs = append(errs, d.host.Stop())
	}
	if d.cable != nil {
		errs = append(errs, d.cable.Close())
	}
	if d.lab != nil {
		errs = append(errs, d.lab.Down())
	}
	return errors.Join(append(errs, os.RemoveAll(d.dir))...)
}
