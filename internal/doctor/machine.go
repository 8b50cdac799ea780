package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"rendezvous/internal/config"
	"rendezvous/mixer/av"
)

// clock asks the kernel whether anything keeps the machine's time right (adjtimex(2)).
func (p *patient) clock(context.Context) []Finding {
	now := p.Now()
	if program, err := os.Executable(); err == nil {
		if info, err := os.Stat(program); err == nil && now.Before(info.ModTime().Add(-24*time.Hour)) {
			return []Finding{fault("set the clock: timedatectl set-ntp true", "the clock says %s, which is before this program was made", now.Format(time.RFC3339))}
		}
	}
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return []Finding{doubt("see to it that the clock is kept right", "whether the clock is synchronised cannot be told: %v", err)}
	}
	if state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0 {
		return []Finding{doubt("timedatectl set-ntp true, or install chrony; certificates, links and the Jami network go by the clock (in a container or a virtual machine its host may see to it)", "nothing says that the clock is synchronised")}
	}
	return []Finding{good("the clock is synchronised, within %s", (time.Duration(t.Maxerror) * time.Microsecond).Round(time.Millisecond))}
}

// Magic numbers of file systems (statfs(2)) that are not for a data folder.
var poorFor = map[int64]string{
	unix.TMPFS_MAGIC:     "is lost when the machine starts anew",
	unix.RAMFS_MAGIC:     "is lost when the machine starts anew",
	unix.NFS_SUPER_MAGIC: "lies on another machine: when that is away, the host stands still",
	unix.SMB_SUPER_MAGIC: "lies on another machine: when that is away, the host stands still",
}

// slowSync is how long a disk may take until what was written is on it: orders are acknowledged only then.
const slowSync = 50 * time.Millisecond

// disk looks at the data folder's and the recordings'.
func (p *patient) disk(context.Context) []Finding {
	data, err := filepath.Abs(p.Config.Data)
	if err != nil {
		return []Finding{fault("correct data", "data: %v", err)}
	}
	folder, found := p.folder("data", data, 1<<20)
	out := []Finding{found}
	recordings := p.Config.Recordings.Dir
	if !filepath.IsAbs(recordings) {
		recordings = filepath.Join(data, recordings)
	}
	on, found := p.folder("recordings.dir", recordings, uint64(p.Config.Recordings.MinFree))
	if on != folder || found.State != Good {
		out = append(out, found)
	}
	return out
}

// folder examines the folder that is there already: path or the next one above it.
func (p *patient) folder(setting, path string, least uint64) (string, Finding) {
	for {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) || path == filepath.Dir(path) {
			break
		}
		path = filepath.Dir(path)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return path, fault(p.service(), "%s: %s: %v", setting, path, err)
	}
	free := fs.Bavail * uint64(fs.Bsize)
	if free < least {
		return path, fault("make room, or choose another "+setting+"; recordings stop below recordings.min_free", "%s: %s has %s free, less than %s", setting, path, size(free), size(least))
	}
	if why, ok := poorFor[int64(fs.Type)]; ok {
		return path, doubt("choose a folder on a disk of this machine", "%s: %s %s", setting, path, why)
	}
	took, err := syncTime(path)
	switch {
	case errors.Is(err, os.ErrPermission):
		return path, doubt(p.service(), "%s: %v", setting, err)
	case err != nil:
		return path, fault("see to the disk: dmesg", "%s: %v", setting, err)
	case took > slowSync:
		return path, doubt("a faster disk, or one that others use less: orders are acknowledged when they are on it", "%s: what is written to %s is on the disk after %s only", setting, path, took.Round(time.Millisecond))
	}
	return path, good("%s: %s has %s free; a line is on the disk in %s", setting, path, size(free), took.Round(100*time.Microsecond))
}

// syncTime is the median of how long it takes until 4 KiB are on the disk.
func syncTime(folder string) (time.Duration, error) {
	f, err := os.CreateTemp(folder, ".doctor-*")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil { // now, so that nothing is left behind however this ends
		return 0, err
	}
	times := make([]time.Duration, 9)
	for i := range times {
		from := time.Now()
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		times[i] = time.Since(from)
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

func size(n uint64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d bytes", n)
}

// encodeFor is how long the encoder is tried, in processor time.
const encodeFor = 500 * time.Millisecond

// processors counts them, and tries what one of them encodes.
func (p *patient) processors(context.Context) []Finding {
	n := runtime.GOMAXPROCS(0) // what the machine, its affinity and its control group leave us
	best, err := config.ParseRung(p.Config.Media.Rungs[0])
	if err != nil {
		return []Finding{fault("correct media.rungs", "%v", err)}
	}
	rate, err := encodeRate(best)
	if err != nil {
		return []Finding{fault("see to the installed FFmpeg: apt install ./rendezvous.deb brings the right one", "no picture can be encoded: %v", err)}
	}
	says := fmt.Sprintf("%d processors; one encodes %.0f pictures of %dx%d a second", n, rate, best.Width, best.Height)
	switch {
	case rate < 1.5*float64(best.FPS):
		return []Finding{fault("begin media.rungs with a smaller picture, or take a faster machine", "%s: too few for %d a second", says, best.FPS)}
	case n < 2:
		return []Finding{doubt("two processors or more, where pictures are shown; sound alone is content with one", "%s", says)}
	}
	return []Finding{good("%s", says)}
}

// encodeRate is how many pictures of a rung one processor encodes in a second that is all the encoder's: by the processor time of
// the thread, whatever else runs here.
func encodeRate(r config.Rung) (float64, error) {
	e, err := av.NewVideoEncoder(av.VideoEncoderConfig{Codec: "H264", Width: r.Width, Height: r.Height, FPS: r.FPS, Bitrate: r.Bitrate})
	if err != nil {
		return 0, err
	}
	defer e.Close()
	picture := av.NewPicture(r.Width, r.Height)
	defer picture.Release()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	from, err := threadTime()
	if err != nil {
		return 0, err
	}
	took := time.Duration(0)
	n := 0
	for took < encodeFor {
		move(picture, n)
		if _, _, err := e.Encode(picture, uint32(n*90000/r.FPS), false); err != nil {
			return 0, err
		}
		n++
		now, err := threadTime()
		if err != nil {
			return 0, err
		}
		took = now - from
	}
	return float64(n) / took.Seconds(), nil
}

// threadTime is the processor time of the calling thread.
func threadTime() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0, fmt.Errorf("processor time of the thread: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

// move draws stripes that wander, with a tenth of the picture noisy: about what a few people before cameras ask of an encoder.
func move(p *av.Picture, n int) {
	noise := uint32(n)*2654435761 + 1
	for y := range p.Height {
		row := p.Y[y*p.StrideY : y*p.StrideY+p.Width]
		if y%10 == 0 {
			for x := range row {
				noise ^= noise << 13
				noise ^= noise >> 17
				noise ^= noise << 5
				row[x] = byte(noise>>24)/4 + 96
			}
			continue
		}
		for x := range row {
			row[x] = byte((x+n*2+y/2)&127) + 64
		}
	}
}

// limits looks at memory and files.
func (p *patient) limits(context.Context) []Finding {
	var out []Finding
	var files unix.Rlimit
	const leastFiles, leastMemory = 4096, 512 << 20
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil && files.Max < leastFiles {
		out = append(out, doubt("LimitNOFILE=65536 in the unit, as the shipped one has it; or ulimit -Hn", "%d files may be open at once, and each call takes some", files.Max))
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err == nil {
		total := uint64(info.Totalram) * uint64(info.Unit)
		if total < leastMemory {
			out = append(out, doubt("1 GiB or more; docs/deploy.md has sizes", "the machine has %s of memory", size(total)))
		} else {
			out = append(out, good("%s of memory, %d open files", size(total), files.Max))
		}
	}
	return out
}

// programs looks for those that the host starts.
func (p *patient) programs(context.Context) []Finding {
	if p.Config.Media.Voice == "" {
		return nil
	}
	if _, err := exec.LookPath("espeak-ng"); err != nil {
		return []Finding{doubt("apt install espeak-ng, or media.voice: \"\"", "announcements cannot be spoken: %v", err)}
	}
	return []Finding{good("espeak-ng is there to speak announcements")}
}
