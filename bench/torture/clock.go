package main

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"
)

// clock sets the time of day of one process; its monotonic clock goes on, and the machine's clocks are left alone: the function of the
// vDSO that reads clocks is replaced, in the process's memory, by one that asks the kernel and adds to what it says.
type clock struct {
	mem *os.File
	at  int64 // of the seconds that are added
}

// readClock is, for x86-64: ask clock_gettime of the kernel; if the clock is the time of day, add the eight bytes after the code.
var readClock = []byte{
	0xb8, 0xe4, 0, 0, 0, // mov eax, 228
	0x0f, 0x05, // syscall
	0x85, 0xff, // test edi, edi
	0x75, 0x0a, // jne the last
	0x48, 0x8b, 0x0d, 4, 0, 0, 0, // mov rcx, [rip+4]
	0x48, 0x01, 0x0e, // add [rsi], rcx
	0xc3, // ret
}

// clockArch is the architecture that readClock is for.
const clockArch = "amd64"

// openClock takes over the clock of a process.
func openClock(pid int) (c *clock, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("take over the clock of process %d: %w", pid, err)
		}
	}()
	from, to, err := vdso(pid)
	if err != nil {
		return nil, err
	}
	c = &clock{}
	if c.mem, err = os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0); err != nil {
		return nil, err
	}
	image := make([]byte, to-from)
	if _, err = c.mem.ReadAt(image, from); err != nil {
		return nil, errors.Join(err, c.mem.Close())
	}
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return nil, errors.Join(err, c.mem.Close())
	}
	symbols, err := f.DynamicSymbols()
	i := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == "__vdso_clock_gettime" })
	if i < 0 {
		return nil, errors.Join(errors.New("its vDSO reads no clock"), err, c.mem.Close())
	}
	at := from + int64(symbols[i].Value)
	c.at = at + int64(len(readClock))
	if _, err := c.mem.WriteAt(append(slices.Clone(readClock), make([]byte, 8)...), at); err != nil {
		return nil, errors.Join(err, c.mem.Close())
	}
	return c, nil
}

// vdso is where a process has it.
func vdso(pid int) (from, to int64, err error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, 0, err
	}
	for s := bufio.NewScanner(bytes.NewReader(maps)); s.Scan(); {
		if strings.HasSuffix(s.Text(), "[vdso]") {
			_, err := fmt.Sscanf(s.Text(), "%x-%x", &from, &to)
			return from, to, err
		}
	}
	return 0, 0, errors.New("it has no vDSO")
}

// set has the time of day be ahead of the true one.
func (c *clock) set(ahead time.Duration) error {
	_, err := c.mem.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(int64(ahead/time.Second))), c.at)
	return err
}

// steps are how far the clock is set, as NTP, administrators and machines whose battery is empty do.
var steps = []time.Duration{20 * time.Second, -20 * time.Second, time.Hour, -time.Hour, 40 * 24 * time.Hour, 400 * 24 * time.Hour}

// step sets the host's clock some times, and then right. The meeting must go on.
func (h *host) step(r *round, random *rand.Rand, pause func()) (err error) {
	c, err := openClock(h.proc.PID())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.mem.Close()) }()
	_, before, err := h.seen()
	if err != nil {
		return err
	}
	for range 3 {
		ahead := steps[random.IntN(len(steps))]
		if err := c.set(ahead); err != nil {
			return err
		}
		pause()
		if is, err := h.date(); err != nil || is.Sub(time.Now().Add(ahead)).Abs() > 5*time.Second {
			return errors.Join(fmt.Errorf("the clock was set %v ahead, and the host says it is %v", ahead, is), err)
		}
	}
	if err := c.set(0); err != nil {
		return err
	}
	pause()
	if _, after, err := h.seen(); err != nil || before == "" || after != before {
		r.fail("when the clock was set the meeting ended: the recording %q ran before, %q does now: %v", before, after, err)
	}
	return nil
}
