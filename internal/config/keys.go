package config

import (
	"encoding"
	"reflect"
	"sort"
	"strings"
	"time"

	"rendezvous/conference/settings"
)

// Key is one setting.
type Key struct {
	Name   string // dotted, with <name> for what the person chooses: "rooms.<name>.title"
	Live   bool   // SIGHUP changes it without a restart
	Secret bool   // its value may stand in a file of its own, which the key Name + "_file" names
	typ    reflect.Type
}

// fileSuffix makes of a secret's key the one that names the file with it.
const fileSuffix = "_file"

// wildcard stands for a name of the person's choosing.
const wildcard = "<name>"

// Env is the environment variable of a key: dots and dashes become underscores.
func Env(key string) string {
	return "RENDEZVOUS_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(key))
}

// Keys lists all settings in alphabetic order.
func Keys() []Key {
	keys := appendKeys(nil, reflect.TypeFor[Config](), "", false, false)
	sort.Slice(keys, func(i, j int) bool { return keys[i].Name < keys[j].Name })
	return keys
}

func appendKeys(keys []Key, t reflect.Type, name string, live, secret bool) []Key {
	switch {
	case isSection(t):
		for f := range t.Fields() {
			if key := f.Tag.Get("mapstructure"); key != "-" {
				keys = appendKeys(keys, f.Type, join(name, key), isLive(f, live), isSecret(f))
			}
		}
	case t.Kind() == reflect.Map:
		keys = appendKeys(keys, t.Elem(), join(name, wildcard), live, false)
	default:
		keys = append(keys, Key{Name: name, Live: live, Secret: secret, typ: t})
		if secret {
			keys = append(keys, Key{Name: name + fileSuffix, Live: live, typ: reflect.TypeFor[string]()})
		}
	}
	return keys
}

// isSecret tells whether a field holds a secret: by its type, or where another package's or a list is one, by its tag.
func isSecret(f reflect.StructField) bool {
	return f.Type == reflect.TypeFor[Secret]() || f.Tag.Get("secret") == "yes"
}

// isSection tells whether a type is settings of its own, not a value that is read from text.
func isSection(t reflect.Type) bool { return t.Kind() == reflect.Struct && !readsText(t) }

// readsText tells whether a type's values read themselves from text.
func readsText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// isLive reads a field's tag; without one it is as its section is.
func isLive(f reflect.StructField, section bool) bool {
	switch f.Tag.Get("live") {
	case "yes":
		return true
	case "no":
		return false
	}
	return section
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "." + b
}

// schema knows which keys exist.
type schema struct {
	keys     map[string]Key
	sections map[string]bool // "web", "rooms", "rooms.<name>"
	named    []string        // sections whose members are named by the person: "rooms"
}

func newSchema() *schema {
	s := &schema{keys: map[string]Key{}, sections: map[string]bool{}}
	for _, k := range Keys() {
		s.keys[k.Name] = k
		parts := strings.Split(k.Name, ".")
		for i := 1; i < len(parts); i++ {
			section := strings.Join(parts[:i], ".")
			if parts[i] == wildcard && !s.sections[section] {
				s.named = append(s.named, section)
			}
			s.sections[section] = true
		}
	}
	return s
}

// pattern is a key of the file with the person's own names replaced by <name>.
func (s *schema) pattern(key string) string {
	for _, section := range s.named {
		if rest, ok := strings.CutPrefix(key, section+"."); ok {
			_, leaf, found := strings.Cut(rest, ".")
			if !found {
				return section + "." + wildcard
			}
			return section + "." + wildcard + "." + leaf
		}
	}
	return key
}

// nearest is the known key that looks most like an unknown one, or "".
func (s *schema) nearest(key string) string {
	section, leaf := "", key
	if i := strings.LastIndex(key, "."); i >= 0 {
		section, leaf = key[:i], key[i+1:]
	}
	depth := strings.Count(key, ".")
	best, least := "", 3
	for _, k := range Keys() {
		parts := strings.Split(k.Name, ".")
		if len(parts) <= depth || strings.Join(parts[:depth], ".") != s.pattern(section) || parts[depth] == wildcard {
			continue
		}
		if d := distance(leaf, parts[depth]); d < least {
			best, least = join(section, parts[depth]), d
		}
	}
	return best
}

// distance is the number of letters to add, drop or change (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := diagonal
			if a[i-1] != b[j-1] {
				change++
			}
			diagonal = row[j]
			row[j] = min(change, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

// kind is what a setting wants, in words.
func kind(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration](), t == reflect.TypeFor[settings.Duration]():
		return `a duration such as "30s" or "1h30m"`
	case t == reflect.TypeFor[Size]():
		return `a size such as "500MB" or "20GiB"`
	case t.Kind() == reflect.String, readsText(t):
		return "text (in quotes)"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "a whole number"
	case t.Kind() == reflect.Slice:
		return "a list of texts"
	}
	return "a section"
}
