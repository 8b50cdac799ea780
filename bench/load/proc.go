package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// jiffy is the unit of CPU times in /proc (USER_HZ, which is 100 on all of Linux's architectures).
const jiffy = 10 * time.Millisecond

// usage is what a process has used and holds.
type usage struct {
	cpu      time.Duration // user and system, of all its threads, those that ended too; in steps of a jiffy
	threads  int
	resident int64 // bytes
	sockets  int   // and other open files
}

// usageOf reads what the kernel tells of a process.
func usageOf(pid int) (u usage, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	if u, err = parseStat(string(text)); err != nil {
		return u, err
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	u.sockets = len(open)
	return u, err
}

// parseStat reads /proc/PID/stat (proc(5)).
func parseStat(text string) (u usage, err error) {
	// The program's name in parentheses may hold anything: fields count from behind it.
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	const user, system, threads, resident = 11, 12, 17, 21
	if len(f) <= resident {
		return u, errors.New("stat is too short")
	}
	var n [4]int64
	for i, field := range []int{user, system, threads, resident} {
		if n[i], err = strconv.ParseInt(f[field], 10, 64); err != nil {
			return u, fmt.Errorf("stat: %w", err)
		}
	}
	return usage{cpu: time.Duration(n[0]+n[1]) * jiffy, threads: int(n[2]), resident: n[3] * int64(os.Getpagesize())}, nil
}

// program is what a process is called, as in "27057 (janus)", and the CPU time that it has used.
type program struct {
	name string
	cpu  time.Duration
}

// programs are those that can be seen, by their process ids.
func programs() (map[int]program, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	all := map[int]program{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended
		}
		if u, err := parseStat(string(text)); err == nil {
			all[pid] = program{string(text[:strings.LastIndexByte(string(text), ')')+1]), u.cpu}
		}
	}
	return all, nil
}

// busiest is who used most between two looks at programs, besides those with the ids given, and how much; "" if nobody did.
func busiest(before, after map[int]program, besides ...int) (who string, used time.Duration) {
	for pid, p := range after {
		if d := p.cpu - before[pid].cpu; d > used && !slices.Contains(besides, pid) {
			who, used = p.name, d
		}
	}
	return who, used
}

// machineTime is how long the machine's cores have worked, all together.
func machineTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return parseMachine(line)
}

// parseMachine reads the first line of /proc/stat.
func parseMachine(line string) (total time.Duration, err error) {
	f := strings.Fields(line)
	const idle, wait, guest = 4, 5, 9 // guests' time is in user's, too
	if len(f) < guest || f[0] != "cpu" {
		return 0, fmt.Errorf("no CPU times: %q", line)
	}
	for i, s := range f[1:guest] {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("CPU times: %w", err)
		}
		if i+1 != idle && i+1 != wait {
			total += time.Duration(n) * jiffy
		}
	}
	return total, nil
}

// ownTime is the CPU time of this process.
func ownTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // cannot fail with these arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// loadAverage is that of a minute, for the reader's judgement only.
func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
