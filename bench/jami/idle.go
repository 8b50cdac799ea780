package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"rendezvous/dht"
	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/connection/icetcp"
)

// idleSettle is how long a host's memory is given to settle: Go collects every two minutes
// what is garbage in a program that does nothing, and gives it back after that.
const idleSettle = 150 * time.Second

// idle measures what devices cost a host that are connected and do not call: n devices of one
// account connect from a namespace of their own. It returns bytes for each.
func (b *bench) idle(h host, n int) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	before, err := memory(h.pid)
	if err != nil {
		return 0, err
	}
	cmd := b.lab.Command(b.ctx, "sw", self, "-devices", strconv.Itoa(n), "-room", h.id)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		in.Close() // ends it
		_ = cmd.Wait()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("the devices do not connect: %q, %w", line, err)
	}
	if strings.TrimSpace(line) != "connected" {
		return 0, fmt.Errorf("the devices do not connect: %q", line)
	}
	time.Sleep(idleSettle)
	after, err := memory(h.pid)
	return float64(after-before) / float64(n), err
}

// memory is what a process has of the machine's memory, its part of what is shared included
// (Pss), in bytes.
func memory(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kB, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			return kB << 10, err
		}
	}
	return 0, errors.New("smaps_rollup has no Pss")
}

// devices connects n devices of one account to a room and holds them until input ends. It is
// what the bench starts itself for.
func devices(n int, room string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	id, err := value.ParseKey(room)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-jami-devices")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	node, err := dht.New(dht.Config{IPv4: "0.0.0.0:0", Bootstrap: []string{jamilab.Bootstrap}})
	if err != nil {
		return err
	}
	if err := node.Start(ctx); err != nil {
		return err
	}
	defer node.Close()
	listener, err := icetcp.Listen(":0", nil)
	if err != nil {
		return err
	}
	defer listener.Close()
	const bits = 2048 // half the time, and the room's side keeps no key of ours but the public one
	first, err := identity.NewAccountBits(time.Now(), bits)
	if err != nil {
		return err
	}
	for i := range n {
		keys := first
		if i > 0 {
			if keys, err = identity.NewDevice(first.Master, first.CA, time.Now(), bits); err != nil {
				return err
			}
		}
		home := filepath.Join(dir, strconv.Itoa(i))
		if err := keys.Save(filepath.Join(home, "identity")); err != nil {
			return err
		}
		a, err := account.Open(account.Config{Dir: home, DisplayName: "idle", Node: node, Listener: listener, Gatherer: &icetcp.Gatherer{Listener: listener}})
		if err != nil {
			return err
		}
		defer a.Close()
		if err := connect(ctx, a, id); err != nil {
			return fmt.Errorf("device %d: %w", i, err)
		}
	}
	fmt.Println("connected")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// connect has a device connect to a room as if to call it, and does not.
func connect(ctx context.Context, a *account.Account, room value.Key) error {
	if err := a.Start(ctx); err != nil {
		return err
	}
	if err := a.WaitPublished(ctx); err != nil {
		return err
	}
	for device, err := range a.Devices(ctx, room) {
		if err != nil {
			return err
		}
		ch, err := a.OpenChannel(ctx, device.Device, "sip", "audioCall")
		if err != nil {
			return err
		}
		return ch.Close() // a room has one device
	}
	return account.ErrOffline
}
