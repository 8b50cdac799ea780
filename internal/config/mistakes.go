package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Mistake is one thing that is wrong with the configuration.
type Mistake struct {
	Where string // "config.yaml:12", or the variable or flag that says it: "RENDEZVOUS_WEB_LISTEN", "--web-listen"
	Text  string // one line that begins with the key

	line int // in the file; 0: it does not stand there
}

// Error is one line.
func (m Mistake) Error() string { return m.Where + ": " + m.Text }

// Mistakes are all that is wrong with the configuration, in the order of the file.
type Mistakes []Mistake

// Error has a line for each.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i := range m {
		lines[i] = m[i].Error()
	}
	return strings.Join(lines, "\n")
}

// inOrder sorts what stands in the file before what does not.
func (m Mistakes) inOrder() Mistakes {
	slices.SortStableFunc(m, func(a, b Mistake) int {
		if (a.line == 0) != (b.line == 0) {
			return cmp.Compare(b.line, a.line)
		}
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.Where, b.Where))
	})
	return m
}

// atLine is a mistake in the file; line 0 is the file as a whole.
func atLine(file string, line int, format string, args ...any) Mistake {
	m := Mistake{Where: file, Text: fmt.Sprintf(format, args...), line: line}
	if line > 0 {
		m.Where = fmt.Sprintf("%s:%d", file, line)
	}
	return m
}

// joined is what errors.Join makes.
type joined interface {
	error
	Unwrap() []error
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	many, ok := errors.AsType[joined](err)
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range many.Unwrap() {
		out = append(out, flatten(e)...)
	}
	return out
}
