package network

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Do calls a function on a thread that is in a namespace: sockets that it opens belong there, wherever they are used
// afterwards. Goroutines that it starts are not there.
func Do(namespace string, f func() error) error {
	done := make(chan error)
	go func() { done <- onThread(namespace, f) }()
	return <-done
}

// onThread takes the thread that it runs on into a namespace, and back. It does not let it end with the goroutine, as a
// thread may that is no ordinary one any more: programs that were started from it, whichever they are, are killed with
// it (PR_SET_PDEATHSIG(2const)).
func onThread(namespace string, f func() error) (err error) {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("namespace of this thread: %w", err)
	}
	defer home.Close()
	defer func() {
		if e := enter(home); e != nil {
			err = errors.Join(err, fmt.Errorf("back from namespace %s: %w", namespace, e))
			return // locked: nobody gets a thread that is elsewhere
		}
		runtime.UnlockOSThread()
	}()
	there, err := os.Open("/run/netns/" + namespace)
	if err != nil {
		return err
	}
	defer there.Close()
	if err := enter(there); err != nil {
		return fmt.Errorf("enter namespace %s: %w", namespace, err)
	}
	return f()
}

// enter takes this thread into a namespace.
func enter(namespace *os.File) error { return unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET) }

// openDevice makes a device in a namespace and opens it, not blocking: of IP packets (unix.IFF_TUN) or of Ethernet's
// frames (unix.IFF_TAP).
func openDevice(namespace, device string, kind uint16) (fd int, err error) {
	err = Do(namespace, func() error {
		fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("open /dev/net/tun: %w", err)
		}
		req, err := unix.NewIfreq(device)
		if err == nil {
			req.SetUint16(kind | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
		}
		if err != nil {
			unix.Close(fd)
		}
		return err
	})
	if err != nil {
		return -1, fmt.Errorf("device %s: %w", device, err)
	}
	return fd, nil
}
