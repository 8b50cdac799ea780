package config

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/spf13/viper"
	"github.com/stretchr/testify/require"

	"rendezvous/conference/settings"
)

// Convention of the shipped file: a setting that is switched off stands directly
// behind the "#", prose after "# ".
var switchedOff = regexp.MustCompile(`(?m)^#( *[^ #])`)

// uncommented is the shipped file with its examples switched on.
func uncommented(text string) string {
	var out []string
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "#  ") && switchedOff.MatchString(line) {
			line = line[1:]
		} else if i+1 < len(lines) && strings.HasPrefix(lines[i+1], "#  ") {
			line = strings.TrimSuffix(line, " {}") // the empty section before an example
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

func shipped(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../config.yaml")
	require.NoError(t, err)
	return string(text)
}

func TestShippedConfigIsTheDefault(t *testing.T) {
	cfg, err := parse("config.yaml", []byte(shipped(t)), nil)
	require.NoError(t, err)
	want := Default()
	room := settings.Default()
	room.Title, room.Number = "Main room", "100"
	want.Rooms = map[string]settings.Room{"main": room}
	require.Empty(t, Diff(&want, cfg))
}

func TestShippedConfigIsComplete(t *testing.T) {
	text := uncommented(shipped(t))
	cfg, err := parse("config.yaml", []byte(text), nil)
	require.NoError(t, err, "the examples are valid")
	require.Contains(t, cfg.API.Tokens, "booking-system")
	require.Contains(t, cfg.SIP.Trunks, "provider")
	require.Contains(t, cfg.People, "bob")

	v := viper.New()
	v.SetConfigType("yaml")
	require.NoError(t, v.ReadConfig(strings.NewReader(text)))
	s := newSchema()
	present := map[string]bool{}
	for _, key := range v.AllKeys() {
		present[s.pattern(key)] = true
	}
	for _, k := range Keys() {
		require.True(t, present[k.Name], "config.yaml lacks %s", k.Name)
	}
}

// docs/config.md has one table row for each key:
//
//	| `web.listen` | `127.0.0.1:8080` | restart | what it means |
var docRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (`[^`]*`|) ?\\| (live|restart) \\| (.+) \\|$")

func TestEveryKeyIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/config.md")
	require.NoError(t, err)
	documented := map[string][]string{}
	for _, row := range docRow.FindAllStringSubmatch(string(text), -1) {
		require.NotContains(t, documented, row[1], "documented twice")
		documented[row[1]] = row
	}
	defaults := defaultTexts(t)
	for _, k := range Keys() {
		row, ok := documented[k.Name]
		if !ok {
			t.Errorf("docs/config.md lacks a row like: | `%s` | %s | %s | … |", k.Name, defaults[k.Name], reload(k))
			continue
		}
		require.Equal(t, defaults[k.Name], strings.TrimSpace(row[2]), "default of %s in docs/config.md", k.Name)
		require.Equal(t, reload(k), row[3], "when %s takes effect, in docs/config.md", k.Name)
		if words := reflect.New(k.typ).Elem().MethodByName("Words"); words.IsValid() {
			for all, i := words.Call(nil)[0], 0; i < all.Len(); i++ {
				require.Contains(t, row[4], fmt.Sprintf("`%v`", all.Index(i)), "%s in docs/config.md", k.Name)
			}
		}
		delete(documented, k.Name)
	}
	var left []string
	for name := range documented {
		left = append(left, name)
	}
	sort.Strings(left)
	require.Empty(t, left, "documented, but no setting")
}

func reload(k Key) string {
	if k.Live {
		return "live"
	}
	return "restart"
}

// defaultTexts are the defaults as docs/config.md writes them.
func defaultTexts(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]any{}
	defaults("", Default(), false, all)
	for _, section := range newSchema().named {
		defaults(section+"."+wildcard, defaultMember(section), false, all)
	}
	out := map[string]string{}
	for _, k := range Keys() {
		text := ""
		switch d := all[k.Name].(type) {
		case []string:
			text = strings.Join(d, ", ")
		case time.Duration:
			text = d.String()
			for _, zero := range []string{"m0s", "h0m"} {
				if strings.HasSuffix(text, zero) {
					text = text[:len(text)-2]
				}
			}
		case Size:
			text = fmt.Sprint(int64(d))
			if d == 1e9 {
				text = "1GB"
			}
		default:
			text = fmt.Sprint(d)
		}
		if text != "" {
			text = "`" + text + "`"
		}
		out[k.Name] = text
	}
	return out
}
