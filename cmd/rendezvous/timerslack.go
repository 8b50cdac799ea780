package main

// Go's monitor thread looks every 20 µs after each call into C, for as long as one lasts,
// and a host is in C (encoding, decoding) for much of its time: those looks alone took a
// tenth of the CPU time of a meeting. The kernel may lay sleeps together that end within a
// thread's timer slack; 1 ms of it, in place of 50 µs, is far below what media
// timers (20 ms of sound, 33 ms of picture) notice. A thread has the slack of the one that
// started it, so it has to be set before Go's runtime starts its threads.

// #include <sys/prctl.h>
//
// __attribute__((constructor)) static void coarse_timers(void) { prctl(PR_SET_TIMERSLACK, 1000000UL, 0, 0, 0); }
import "C"
