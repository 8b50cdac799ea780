// Package benchfmt writes measurements in the Go benchmark format
// (https://go.dev/design/14313-benchmark-format), which benchstat compares.
package benchfmt

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"unicode"
)

// Value is what was measured.
type Value struct {
	Number float64
	Unit   string // "s/s", "x-bare"; without spaces
}

// File takes the results of a program. That nil is one that keeps nothing is for programs
// whose results nobody asked for.
type File struct{ w io.WriteCloser }

// Append opens a file to write results at its end, and makes it if there is none. An empty path
// asks for no results: the File is nil.
func Append(path string) (*File, error) {
	if path == "" {
		return nil, nil
	}
	w, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("results: %w", err)
	}
	return &File{w}, nil
}

// Add writes one run of a measurement, with all that it has told. The name is like
// "Sound/silent/dtx": slashes part it, the first letter is upper case, there are no spaces. A part like
// "callers=2" is one that benchstat can group by. More runs of the same name are more samples.
func (f *File) Add(name string, values ...Value) error {
	text, err := line(name, values)
	if err != nil {
		return fmt.Errorf("result %q: %w", name, err)
	}
	if f == nil {
		return nil
	}
	if _, err := io.WriteString(f.w, text); err != nil {
		return fmt.Errorf("result %q: %w", name, err)
	}
	return nil
}

// Close closes the file.
func (f *File) Close() error {
	if f == nil {
		return nil
	}
	return f.w.Close()
}

// line is a result as the format has it: name, iterations, and pairs of value and unit.
func line(name string, values []Value) (string, error) {
	if name == "" || !unicode.IsUpper(rune(name[0])) || !isWord(name) {
		return "", errors.New("the name has a space or does not begin with an upper case letter")
	}
	if len(values) == 0 {
		return "", errors.New("nothing was measured")
	}
	var b strings.Builder
	b.WriteString("Benchmark" + name + " 1")
	for _, v := range values {
		if !isWord(v.Unit) {
			return "", fmt.Errorf("the unit %q is empty or has a space", v.Unit)
		}
		if math.IsNaN(v.Number) || math.IsInf(v.Number, 0) {
			return "", fmt.Errorf("%v %s is no measurement", v.Number, v.Unit)
		}
		// Six digits are more than any of these measurements is worth.
		b.WriteString(" " + strconv.FormatFloat(v.Number, 'g', 6, 64) + " " + v.Unit)
	}
	b.WriteString("\n")
	return b.String(), nil
}

func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}
