package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// fault is what is done to a host.
type fault string

// The faults.
const (
	killed   fault = "kill"      // SIGKILL
	powerCut fault = "power cut" // what the disk had at one moment, and nothing else, is there at the next start
	fullDisk fault = "full disk" // for a few seconds; then there is room again
	fullKill fault = "full disk, kill"
	clockSet fault = "clock set" // ahead and back, while the monotonic clock goes on
	parted   fault = "partition" // from the other members of the conversation
)

// disk is the file system with the data folder, at "data" in a folder.
//
// The power is cut by copying the image of a disk as it is at one moment, by a reflink of the XFS that the image lies on. The next
// start is on the copy: its journal is replayed as after a real cut.
type disk struct {
	kind string
	data string // mount point
	// Of one whose power can be cut.
	outer, image, snapshot string
}

const (
	diskSize  = 320 << 20
	outerSize = 2 << 30
)

func newDisk(kind, dir string) (d *disk, err error) {
	d = &disk{kind: kind, data: filepath.Join(dir, "data")}
	if err := os.MkdirAll(d.data, 0o700); err != nil {
		return nil, err
	}
	if kind == "tmpfs" {
		return d, syscall.Mount("tmpfs", d.data, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", diskSize))
	}
	d.outer = filepath.Join(dir, "outer")
	d.image, d.snapshot = filepath.Join(d.outer, "disk"), filepath.Join(d.outer, "snapshot")
	defer func() {
		if err != nil {
			err = errors.Join(err, d.remove())
		}
	}()
	err = errors.Join(os.MkdirAll(d.outer, 0o700), sparse(d.outer+".image", outerSize))
	if err == nil {
		err = command("mkfs.xfs", "-q", "-f", "-m", "reflink=1", d.outer+".image")
	}
	if err == nil {
		err = command("mount", "-o", "loop", d.outer+".image", d.outer)
	}
	if err == nil {
		err = sparse(d.image, diskSize)
	}
	if err == nil {
		err = command("mkfs."+kind, map[string]string{"ext4": "-qF", "xfs": "-qf"}[kind], d.image)
	}
	if err == nil {
		err = d.mount()
	}
	return d, err
}

func (d *disk) mount() error {
	options := "loop"
	if d.kind == "xfs" {
		options += ",nouuid" // the copy has the same as what it was copied from
	}
	return command("mount", "-o", options, d.image, d.data)
}

// faults are those that can befall a host.
func (h *host) faults() []fault {
	all := []fault{killed, fullDisk, fullKill}
	if h.disk.outer != "" {
		all = append(all, powerCut, powerCut)
	}
	if runtime.GOARCH == clockArch {
		all = append(all, clockSet)
	}
	if h.member != nil {
		all = append(all, parted)
	}
	return all
}

// copy takes what the disk has at this moment.
func (d *disk) copy() error { return command("cp", "--reflink=always", d.image, d.snapshot) }

// cut has the disk be what it was when it was copied. Nobody may use it.
func (d *disk) cut() error {
	return errors.Join(command("umount", d.data), os.Rename(d.snapshot, d.image), d.mount())
}

func (d *disk) filler() string { return filepath.Join(d.data, "filler") }

// fill leaves no room on the disk.
func (d *disk) fill() error {
	f, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 1 << 20; size > 0; { // ever smaller pieces, to the last
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 16
		}
	}
	return nil
}

// free makes room again.
func (d *disk) free() error { return os.Remove(d.filler()) }

func (d *disk) remove() error {
	var errs []error
	for _, at := range []string{d.data, d.outer} {
		if at != "" && mounted(at) {
			errs = append(errs, command("umount", at))
		}
	}
	return errors.Join(errs...)
}

func mounted(at string) bool {
	b, err := os.ReadFile("/proc/self/mounts")
	return err == nil && strings.Contains(string(b), " "+at+" ")
}

func sparse(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
