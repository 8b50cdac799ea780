package recordings

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
)

// maxName is the most that a recording's name may have, in runes.
const maxName = 200

// nameFile keeps the name that somebody has given a recording in its folder, for a catalogue that is made anew. It is not in
// the sidecar, as that has been hashed and archived.
const nameFile = "name"

// ErrName says that a name is none: empty, or too long.
var ErrName = errors.New("a name has a letter at least, and at most 200")

// Rename gives a recording another name, also one that is being made; what is no part of a line of text is left out. It is on the
// disk when Rename returns. The error wraps ErrNotFound, ErrName, or is the system's: then the name is as before.
func (l *Library) Rename(id, name string) error {
	name = cleanName(name)
	if n := len([]rune(name)); n == 0 || n > maxName {
		return ErrName
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[id]
	if e == nil || l.missing[id] && !isDir(l.folder(e)) {
		return ErrNotFound
	}
	if err := l.mark.check(); err != nil {
		return fmt.Errorf("naming a recording: %w", err)
	}
	// The folder first: a catalogue without the name is of no harm, as it is read there when that is made anew.
	if err := l.disk.write(filepath.Join(l.folder(e), nameFile), []byte(name+"\n")); err != nil {
		return fmt.Errorf("naming a recording: %w", err)
	}
	before := e.Title
	e.Title = name
	if err := l.save(); err != nil {
		e.Title = before
		return err
	}
	l.log.Info("recording named", "room", e.Room, "recording", id)
	return nil
}

// cleanName makes one line of text of a name: without control characters, and without those that turn the direction of what is around it.
func cleanName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return strings.Join(strings.Fields(s), " ")
}

// nameIn is the name that a recording was given, "" if it was given none or it cannot be read.
func (d disk) nameIn(dir string) string {
	b, err := d.read(filepath.Join(dir, nameFile))
	if err != nil {
		return ""
	}
	name := cleanName(string(b))
	if len([]rune(name)) > maxName {
		return ""
	}
	return name
}
