package prompts

import (
	"embed"
	"fmt"
	"path"
	"strconv"
	"strings"
	"sync"
)

// SampleRate of all sound handed out, samples per second.
const SampleRate = 48000

// gap is the pause between two recordings said together, samples.
const gap = SampleRate * 80 / 1000

// Prompt names a recording.
type Prompt string

// The prompts. Their words are in texts.txt.
const (
	Welcome         Prompt = "welcome"
	EnterRoom       Prompt = "enter-room"
	UnknownRoom     Prompt = "unknown-room"
	EnterPIN        Prompt = "enter-pin"
	WrongPIN        Prompt = "wrong-pin"
	TryLater        Prompt = "try-later"
	Goodbye         Prompt = "goodbye"
	First           Prompt = "first"
	OneOther        Prompt = "others-one"
	Others          Prompt = "others"
	Here            Prompt = "here"
	Many            Prompt = "many"
	Lobby           Prompt = "lobby"
	Admitted        Prompt = "admitted"
	Denied          Prompt = "denied"
	Locked          Prompt = "locked"
	Full            Prompt = "full"
	Closed          Prompt = "closed"
	Banned          Prompt = "banned"
	Draining        Prompt = "draining"
	Muted           Prompt = "muted"
	Unmuted         Prompt = "unmuted"
	MutedBy         Prompt = "muted-by"
	UnmutedBy       Prompt = "unmuted-by"
	HandUp          Prompt = "hand-up"
	HandDown        Prompt = "hand-down"
	AllMuted        Prompt = "all-muted"
	AllUnmuted      Prompt = "all-unmuted"
	RoomLocked      Prompt = "room-locked"
	RoomUnlocked    Prompt = "room-unlocked"
	LetIn           Prompt = "let-in"
	RecordingOn     Prompt = "recording-on"
	RecordingOff    Prompt = "recording-off"
	RecordingFailed Prompt = "recording-failed"
	NotAllowed      Prompt = "not-allowed"
	Ending          Prompt = "ending"
	Ended           Prompt = "ended"
	Removed         Prompt = "removed"
	Moved           Prompt = "moved"
	Announcement    Prompt = "announcement"
	Insecure        Prompt = "insecure"
	Help            Prompt = "help"
	HelpModerator   Prompt = "help-moderator"
)

//go:embed en/*.wav
var files embed.FS

// Set gives the recordings of one language. Its methods may be used from several
// goroutines; the sound returned by Say is the caller's.
type Set struct {
	raw map[Prompt][]byte

	mu      sync.Mutex
	decoded map[Prompt][]int16 // 48 kHz, filled on first use
}

// English reads the recordings that are part of the program. It fails only if one of them
// is no WAV file that we read, which a test rules out.
func English() (*Set, error) {
	entries, err := files.ReadDir("en")
	if err != nil {
		return nil, fmt.Errorf("read prompts: %w", err)
	}
	s := &Set{raw: make(map[Prompt][]byte), decoded: make(map[Prompt][]int16)}
	for _, e := range entries {
		b, err := files.ReadFile(path.Join("en", e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read prompt %s: %w", e.Name(), err)
		}
		if _, err := parseWAV(b); err != nil {
			return nil, fmt.Errorf("prompt %s: %w", e.Name(), err)
		}
		s.raw[Prompt(strings.TrimSuffix(e.Name(), ".wav"))] = b
	}
	return s, nil
}

// Say joins recordings with short pauses. A name without a recording is left out.
func (s *Set) Say(list ...Prompt) []int16 {
	var out []int16
	for _, p := range list {
		sound := s.sound(p)
		if len(sound) == 0 {
			continue
		}
		if len(out) > 0 {
			out = append(out, make([]int16, gap)...)
		}
		out = append(out, sound...)
	}
	return out
}

func (s *Set) sound(p Prompt) []int16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if pcm, ok := s.decoded[p]; ok {
		return pcm
	}
	w, err := parseWAV(s.raw[p])
	if err != nil {
		return nil
	}
	pcm := triple(w.decode())
	s.decoded[p] = pcm
	return pcm
}

// Number says a count from 0 to 99; anything else is Many.
func Number(n int) []Prompt {
	switch {
	case n < 0 || n > 99:
		return []Prompt{Many}
	case n <= 20 || n%10 == 0:
		return []Prompt{Prompt(strconv.Itoa(n))}
	}
	return []Prompt{Prompt(strconv.Itoa(n - n%10)), Prompt(strconv.Itoa(n % 10))}
}

// Digits says the digits of s one by one and leaves everything else out.
func Digits(s string) []Prompt {
	var out []Prompt
	for _, r := range s {
		if r >= '0' && r <= '9' {
			out = append(out, Prompt(r))
		}
	}
	return out
}
