// Command jami compares the program with a Jami daemon as rendezvous point: the CPU that
// mixing the same callers takes, and how soon a caller hears and sees the others.
// README.md says how it is measured.
package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rendezvous/bench/benchfmt"
	"rendezvous/internal/lab/jamilab"
)

const (
	settle   = 5 * time.Second
	tick     = 10 * time.Millisecond // of /proc/PID/stat
	patience = 3 * time.Minute       // many daemons on few cores take their time
)

func main() {
	callers := flag.String("callers", "2,3,4", "numbers of callers")
	seconds := flag.Int("seconds", 20, "length of a measurement")
	size := flag.String("size", "640x360", "of the callers' pictures")
	mix := flag.String("mix", "1280x720", "of the mixed picture")
	program := flag.String("program", "bin/rendezvous", "the host (make build)")
	connected := flag.Int("idle", 0, "also measure the memory of so many connections without a call; takes minutes")
	results := flag.String("results", "", "append the figures to this file, in the Go benchmark format")
	n := flag.Int("devices", 0, "be so many devices; the bench starts itself so")
	room := flag.String("room", "", "whom the devices connect to")
	flag.Parse()
	var err error
	if *n > 0 {
		err = devices(*n, *room)
	} else {
		err = run(options{*callers, time.Duration(*seconds) * time.Second, *size, *mix, *program, *results, *connected})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/jami:", err)
		os.Exit(1)
	}
}

// bench is a laboratory with a host in it that is measured.
type bench struct {
	ctx    context.Context
	lab    *jamilab.Lab
	dir    string
	source string // the callers' camera
	length time.Duration
	mix    string // size of the mixed picture
}

// result is what was seen of one host with one number of callers.
type result struct {
	cpu, machine, fps     float64
	firstSound, firstView time.Duration
}

// host is one of the two that are compared.
type host struct {
	id  string // Jami account
	pid int
}

// options are the command line's.
type options struct {
	callers   string
	length    time.Duration
	size, mix string
	program   string
	results   string // file, "" for none
	idle      int
}

// fullMix is the size of a mix as both hosts are shipped.
const fullMix = "1280x720"

func run(o options) error {
	var counts []int
	most := 0
	for s := range strings.SplitSeq(o.callers, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 2 || n > 30 {
			return fmt.Errorf("-callers %q: numbers from 2 to 30", o.callers)
		}
		counts, most = append(counts, n), max(most, n)
	}
	// As shipped, and without the log of every packet. A smaller mix is for machines that the
	// callers alone would fill: then they do without their sound processing, too.
	os.Setenv("JAMILAB_SIPLOG", "0")
	if o.mix == fullMix {
		os.Setenv("JAMILAB_AUDIO", "stock")
	} else {
		os.Setenv("JAMILAB_MIX", o.mix)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute) // the laboratory's own end
	defer cancel()
	dir, err := os.MkdirTemp("", "bench-jami")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file, err := benchfmt.Append(o.results)
	if err != nil {
		return err
	}
	defer file.Close()
	b := &bench{ctx: ctx, dir: dir, length: o.length, mix: o.mix}
	if err := b.clips(o.size); err != nil {
		return err
	}
	if b.lab, err = jamilab.Up(ctx, jamilab.Options{Peers: most + 1, Sound: true}); err != nil {
		return err
	}
	defer b.lab.Down()
	if err := jamilab.Accounts(ctx, b.lab.Peers()...); err != nil {
		return err
	}
	daemon := b.lab.Peer(1)
	if err := daemon.Set(ctx, map[string]string{"Account.rendezVous": "true"}); err != nil {
		return err
	}
	pid, err := pidOf(daemon)
	if err != nil {
		return err
	}
	stop, err := b.speak(b.lab.Peer(2))
	if err != nil {
		return err
	}
	defer stop()

	load, _ := os.ReadFile("/proc/loadavg") // for the reader's judgement only
	fmt.Printf("callers send %s at 30 pictures a second, the mix is %s; %v; load before: %s\n", o.size, o.mix, o.length, strings.Join(strings.Fields(string(load))[:3], " "))
	fmt.Printf("%-8s %-10s %8s %6s %8s %12s %14s %7s %12s\n", "callers", "host", "CPU", "fps", "machine", "first sound", "first picture", "ratio", "per picture")
	var daemons []result
	for _, n := range counts {
		r, err := b.measure(host{daemon.URI, pid}, n)
		if err != nil {
			return fmt.Errorf("%d callers of a daemon: %w", n, err)
		}
		daemons = append(daemons, r)
		print(n, "jamid", r, "", "")
		if err := add(file, n, "jamid", r); err != nil {
			return err
		}
	}
	ours, end, err := b.start(o.program)
	if err != nil {
		return err
	}
	defer end()
	for i, n := range counts {
		r, err := b.measure(ours, n)
		if err != nil {
			return fmt.Errorf("%d callers of the program: %w", n, err)
		}
		d := daemons[i]
		ratios := []benchfmt.Value{{Number: r.cpu / d.cpu, Unit: "x-jamid"}}
		perPicture := "-" // where a caller's log tells of no pictures
		if r.fps > 0 && d.fps > 0 {
			ratio := (r.cpu / r.fps) / (d.cpu / d.fps)
			perPicture = fmt.Sprintf("%.2f", ratio)
			ratios = append(ratios, benchfmt.Value{Number: ratio, Unit: "x-jamid/picture"})
		}
		print(n, "rendezvous", r, fmt.Sprintf("%.2f", r.cpu/d.cpu), perPicture)
		if err := add(file, n, "rendezvous", r, ratios...); err != nil {
			return err
		}
	}
	if o.idle == 0 {
		return nil
	}
	fmt.Printf("\nmemory for each of %d connections without a call:\n", o.idle)
	for _, c := range []struct {
		name string
		host host
	}{{"jamid", host{daemon.URI, pid}}, {"rendezvous", ours}} {
		bytes, err := b.idle(c.host, o.idle)
		if err != nil {
			return fmt.Errorf("connections to %s: %w", c.name, err)
		}
		fmt.Printf("%-10s %8.1f kB\n", c.name, bytes/1000)
		if err := file.Add("Jami/connected/host="+c.name, benchfmt.Value{Number: bytes / 1000, Unit: "kB"}); err != nil {
			return err
		}
	}
	return nil
}

func print(n int, name string, r result, ratio, perPicture string) {
	fmt.Println(strings.TrimRight(fmt.Sprintf("%-8d %-10s %8.2f %6.1f %8.2f %11.2fs %13.2fs %7s %12s", n, name, r.cpu, r.fps, r.machine,
		r.firstSound.Seconds(), r.firstView.Seconds(), ratio, perPicture), " "))
}

// add keeps what was seen of one host with n callers.
func add(file *benchfmt.File, n int, host string, r result, ratios ...benchfmt.Value) error {
	values := append([]benchfmt.Value{
		{Number: r.cpu, Unit: "s/s"},
		{Number: r.machine, Unit: "machine-s/s"},
		{Number: r.firstSound.Seconds(), Unit: "s-to-sound"},
		{Number: r.firstView.Seconds(), Unit: "s-to-picture"},
	}, ratios...)
	if r.fps > 0 {
		values = append(values, benchfmt.Value{Number: r.fps, Unit: "1/s"})
	}
	return file.Add(fmt.Sprintf("Jami/callers=%d/host=%s", n, host), values...)
}

// clips makes what the callers show and say.
func (b *bench) clips(size string) error {
	clip, tone := filepath.Join(b.dir, "clip.mp4"), filepath.Join(b.dir, "tone.wav")
	for _, args := range [][]string{
		{"-f", "lavfi", "-i", "testsrc2=s=" + size + ":r=30:d=60", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "30", clip},
		// Broken up, or the daemon takes it for noise.
		{"-f", "lavfi", "-i", "sine=frequency=700:sample_rate=48000:duration=1500", "-af", "volume=10dB,tremolo=f=5:d=0.9", tone},
	} {
		if out, err := exec.Command("ffmpeg", append([]string{"-v", "error", "-y"}, args...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ffmpeg: %w\n%s", err, out)
		}
	}
	b.source = "file://" + clip
	return nil
}

// speak plays the tone into a daemon's microphone.
func (b *bench) speak(p *jamilab.Peer) (stop func(), err error) {
	cmd := b.lab.Sound(b.ctx, p, "paplay", "-d", "mic", filepath.Join(b.dir, "tone.wav"))
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() {
		cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}, nil
}

// pidOf is a daemon's process, as the laboratory has recorded it.
func pidOf(p *jamilab.Peer) (int, error) {
	text, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(p.Home())), "pids", p.Name()+".jamid"))
	if err != nil {
		return 0, err
	}
	pid, _, _ := strings.Cut(string(text), " ")
	return strconv.Atoi(pid)
}

// start runs the program in the laboratory.
func (b *bench) start(program string) (h host, end func(), err error) {
	config, err := os.ReadFile("config.yaml")
	if err != nil {
		return h, nil, err
	}
	file, data := filepath.Join(b.dir, "config.yaml"), filepath.Join(b.dir, "data")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return h, nil, err
	}
	if program, err = filepath.Abs(program); err != nil {
		return h, nil, err
	}
	cmd := b.lab.Command(b.ctx, "app", program, "serve", "--config", file, "--data", data)
	cmd.Env = append(os.Environ(), "RENDEZVOUS_JAMI_ENABLED=true", "RENDEZVOUS_JAMI_BOOTSTRAP="+jamilab.Bootstrap, "RENDEZVOUS_JAMI_STUN=",
		"RENDEZVOUS_MEDIA_CANVAS="+b.mix)
	if b.mix != fullMix {
		cmd.Env = append(cmd.Env, "RENDEZVOUS_MEDIA_RUNGS="+b.mix+"@30:700k")
	}
	log, err := os.Create(filepath.Join(b.dir, "log"))
	if err != nil {
		return h, nil, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return h, nil, err
	}
	end = func() {
		cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // what it says does not matter any more
		log.Close()
	}
	for began := time.Now(); time.Since(began) < patience; time.Sleep(200 * time.Millisecond) {
		out, err := b.lab.Command(b.ctx, "app", program, "rooms", "--json", "--config", file, "--data", data).Output()
		var rooms []struct{ Addresses struct{ Jami string } }
		if err == nil && json.Unmarshal(out, &rooms) == nil && len(rooms) > 0 && len(rooms[0].Addresses.Jami) == 40 {
			return host{rooms[0].Addresses.Jami, cmd.Process.Pid}, end, nil
		}
	}
	end()
	text, _ := os.ReadFile(filepath.Join(b.dir, "log"))
	return h, nil, fmt.Errorf("the program has no Jami address:\n%s", text)
}

// measure has n callers call a host, and hangs them up again.
func (b *bench) measure(h host, n int) (r result, err error) {
	var calls []string
	defer func() {
		for i, call := range calls {
			err = cmp.Or(err, b.lab.Peer(i+2).HangUp(b.ctx, call))
		}
		time.Sleep(2 * time.Second) // for all to have ended before the next
	}()
	for i := range n {
		p := b.lab.Peer(i + 2)
		if err := p.OpenVideo(b.ctx, b.source); err != nil {
			return r, err
		}
		var ear *ear
		if i == n-1 {
			if ear, err = b.listen(p); err != nil {
				return r, err
			}
			defer ear.close()
		}
		ctx, cancel := context.WithTimeout(b.ctx, patience)
		defer cancel()
		mark := p.Mark()
		call, began, err := b.dial(ctx, p, h)
		if err != nil {
			return r, err
		}
		calls = append(calls, call)
		seen, err := p.Wait(ctx, mark, "decodingStarted", func(s jamilab.Signal) bool { return strings.HasPrefix(s.Text(0), call) })
		if err != nil {
			return r, err
		}
		r.firstView = seen.Time.Sub(began)
		if ear != nil {
			select {
			case at := <-ear.heard:
				r.firstSound = at.Sub(began)
			case <-time.After(20 * time.Second):
				return r, errors.New("the last caller hears nobody")
			}
			ear.close()
		}
	}
	time.Sleep(settle)
	last := b.lab.Peer(n + 1)
	from, err := os.Stat(last.LogFile())
	if err != nil {
		return r, err
	}
	cpu, err := spent(h.pid)
	if err != nil {
		return r, err
	}
	busy, began := busyTime(), time.Now()
	time.Sleep(b.length)
	after, err := spent(h.pid)
	if err != nil {
		return r, err
	}
	real := time.Since(began).Seconds()
	r.cpu, r.machine = (after-cpu).Seconds()/real, (busyTime()-busy).Seconds()/real
	r.fps, err = pictures(last.LogFile(), from.Size(), calls[n-1])
	return r, err
}

// dial has a caller call a host. A call of a busy daemon's can come to nothing: they dial again
// then, as people do, and are timed from then on.
func (b *bench) dial(ctx context.Context, p *jamilab.Peer, h host) (call string, began time.Time, err error) {
	for try := 1; ; try++ {
		began = time.Now()
		if call, err = p.PlaceCall(ctx, h.id, jamilab.Media(&b.source)); err != nil {
			return call, began, err
		}
		wait, cancel := context.WithTimeout(ctx, patience/4)
		err = p.WaitCall(wait, call, "CURRENT")
		cancel()
		if err == nil || try == 3 {
			return call, began, err
		}
		fmt.Fprintf(os.Stderr, "bench/jami: %s dials again: %v\n", p.Name(), err)
		_ = p.HangUp(ctx, call) // it may be over
	}
}

// ear waits for sound from a daemon's loudspeaker.
type ear struct {
	heard chan time.Time
	cmd   *exec.Cmd
	done  chan struct{}
}

func (b *bench) listen(p *jamilab.Peer) (*ear, error) {
	e := &ear{heard: make(chan time.Time, 1), done: make(chan struct{})}
	e.cmd = b.lab.Sound(b.ctx, p, "parecord", "--device=spk.monitor", "--raw", "--rate=48000",
		"--channels=1", "--format=s16le", "--latency-msec=20")
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := e.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(e.done)
		frame := make([]byte, 2*960) // 20 ms
		for {
			if _, err := io.ReadFull(out, frame); err != nil {
				return
			}
			peak := 0
			for i := 0; i < len(frame); i += 2 {
				peak = max(peak, int(int16(binary.LittleEndian.Uint16(frame[i:]))))
			}
			if peak > 800 {
				select {
				case e.heard <- time.Now():
				default:
				}
			}
		}
	}()
	return e, nil
}

func (e *ear) close() {
	e.cmd.Process.Kill()
	<-e.done
	_ = e.cmd.Wait() // it was killed
}

var sinkRate = regexp.MustCompile(`Sink (\S+), ([0-9.]+) FPS`)

// pictures is the mean rate at which a daemon has drawn a call's picture, by what it has
// logged since the offset.
func pictures(file string, offset int64, call string) (float64, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, offset, 1<<30))
	if err != nil {
		return 0, err
	}
	sum, n := 0.0, 0
	for _, m := range sinkRate.FindAllStringSubmatch(string(text), -1) {
		rate, err := strconv.ParseFloat(m[2], 64)
		if err == nil && strings.HasPrefix(m[1], call) {
			sum, n = sum+rate, n+1
		}
	}
	if n == 0 {
		return 0, nil
	}
	return sum / float64(n), nil
}

// spent is the CPU time of a process.
func spent(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The program's name in parentheses may hold anything: fields count from behind it.
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, err1 := strconv.Atoi(f[11])
	system, err2 := strconv.Atoi(f[12])
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

// busyTime is how long the machine's cores have worked, all together.
func busyTime() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0 // is always there
	}
	total := 0
	for i, s := range strings.Fields(strings.SplitN(string(text), "\n", 2)[0]) {
		if n, err := strconv.Atoi(s); err == nil && i != 4 && i != 5 && i < 9 { // without idle and iowait
			total += n
		}
	}
	return time.Duration(total) * tick
}
