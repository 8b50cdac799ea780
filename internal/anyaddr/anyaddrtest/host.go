// Package anyaddrtest has tests run on a host that has IPv6 alone.
package anyaddrtest

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"rendezvous/internal/eventually"
)

const inside = "RENDEZVOUS_TEST_IPV6_ONLY"

// Address is that of the host, beside ::1.
const Address = "2001:db8::7"

// IPv6Only runs a test again, in a process and a network of its own that has ::1, Address and nothing else, not even
// 127.0.0.1. It reports true to the test in there, and false to the one that called, when that has passed. It needs
// root, or user namespaces, which Debian has switched on.
func IPv6Only(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		if err := bringUp(); err != nil {
			t.Fatal(err)
		}
		eventually.NoError(t, usable)
		return true
	}
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), inside+"=yes")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Getuid() != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("on a host of IPv6 alone: %v\n%s", err, out)
	}
	return false
}

// bringUp switches the loopback on, which gives it ::1 and 127.0.0.1, and takes the latter away.
func bringUp() error {
	// Package net looks once at what there is, so it must not be asked before.
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("switch the loopback on: %w", err)
	}
	if err := lo.SetInet4Addr([]byte{0, 0, 0, 0}); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFADDR, lo); err != nil {
		return fmt.Errorf("take 127.0.0.1 away: %w", err)
	}
	return addAddress()
}

// addAddress gives the loopback another address.
func addAddress() error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	request := struct { // in6_ifreq of linux/ipv6.h
		addr   [16]byte
		prefix uint32
		index  int32
	}{netip.MustParseAddr(Address).As16(), 128, 1}
	if _, _, no := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&request))); no != 0 {
		return fmt.Errorf("give the loopback %s: %w", Address, no)
	}
	return nil
}

// usable tells whether Address can be listened on: a new one is tentative (RFC 4862 section 5.4), on a busy machine for a moment that
// can be seen.
func usable() error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet6{Addr: netip.MustParseAddr(Address).As16()}); err != nil {
		return fmt.Errorf("listen on %s: %w", Address, err)
	}
	return nil
}
