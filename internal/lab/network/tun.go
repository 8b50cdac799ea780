package network

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Do calls a function on a thread that is in a namespace: sockets that it opens belong there, wherever they are used
// afterwards. Goroutines that it starts are not there.
func Do(namespace string, f func() error) error {
	done := make(chan error)
	go func() {
		// Never unlocked: the thread is in that namespace for good, and ends with the goroutine.
		runtime.LockOSThread()
		err := enter(namespace)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// enter takes this thread into a namespace.
func enter(namespace string) error {
	f, err := os.Open("/run/netns/" + namespace)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter namespace %s: %w", namespace, err)
	}
	return nil
}

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
