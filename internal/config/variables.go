package config

import (
	"regexp"
	"slices"
	"strings"
)

// otherVariables begin like settings and are none: the command line's, those of the tests, and what Kubernetes and Docker
// tell of a service that is called rendezvous.
var otherVariables = regexp.MustCompile(`^RENDEZVOUS_(BACKUP_PASSWORD$|TEST_|E2E_|SERVICE_(HOST|PORT)|PORT(_|$))`)

// checkVariables refuses environment variables that would be settings and are none.
func (l *loader) checkVariables(environment []string) {
	known := map[string]bool{}
	for key := range l.defaults {
		known[Env(key)] = true
	}
	slices.Sort(environment)
	for _, entry := range environment {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, Env("")) || known[name] || otherVariables.MatchString(name) {
			continue
		}
		text := name + ": unknown variable"
		if key := l.namedBy(name); key != "" {
			section, _, _ := strings.Cut(key, "."+wildcard)
			text = name + ": would set " + key + ", but the file has no such name in " + section
		} else if near := nearestVariable(name, known); near != "" {
			text += "; did you mean " + near + "?"
		}
		l.mistakes = append(l.mistakes, Mistake{Where: "environment", Text: text})
	}
}

// namedBy says what a variable would set, if that is something of what a person names, and the file does not name it:
// "sip.users.<name>.password". The longest key is meant.
func (l *loader) namedBy(variable string) (key string) {
	for name := range l.schema.keys {
		before, after, found := strings.Cut(name, wildcard)
		if found && strings.HasPrefix(variable, Env(before)) && strings.HasSuffix(variable, strings.TrimPrefix(Env(after), Env(""))) &&
			len(variable) > len(Env(before))+len(after) && len(name) > len(key) {
			key = name
		}
	}
	return key
}

// nearestVariable is the known one that looks most like an unknown one, or "".
func nearestVariable(name string, known map[string]bool) string {
	best, least := "", 4
	for other := range known {
		if d := distance(name, other); d < least || d == least && other < best {
			best, least = other, d
		}
	}
	return best
}
