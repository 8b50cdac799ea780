package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"rendezvous/moderation"
)

// Source says where settings come from, the strongest first: flags that were
// given, environment variables, the file, the defaults.
type Source struct {
	File  string                 // path of config.yaml
	Flags map[string]*pflag.Flag // by key; those not given on the command line count for nothing
}

// Load reads and checks the whole configuration. The error is one line that
// names the file or the key.
func Load(src Source) (*Config, error) {
	text, err := os.ReadFile(src.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: no such file; name one with --config", src.File)
	case err != nil:
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	cfg, err := parse(text, src.Flags)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(src.File), err)
	}
	return cfg, nil
}

// DataFolder is the data folder that a file and the environment name, whatever else
// is wrong with them: commands that talk to a running host need nothing more. With
// an error it is the default.
func DataFolder(file string) (string, error) {
	v := viper.New()
	v.SetConfigFile(file)
	v.SetConfigType("yaml")
	v.SetDefault("data", Default().Data)
	if err := v.BindEnv("data", Env("data")); err != nil {
		return "", err
	}
	err := v.ReadInConfig()
	if err != nil {
		err = fmt.Errorf("%s: %s", filepath.Base(file), oneLine(err))
	}
	return v.GetString("data"), err
}

// parse makes a Config of the text of a config.yaml, the flags and the environment.
func parse(text []byte, flags map[string]*pflag.Flag) (*Config, error) {
	s := newSchema()
	v := viper.New()
	v.SetConfigType("yaml")
	if err := v.ReadConfig(strings.NewReader(string(text))); err != nil {
		if bad, ok := errors.AsType[viper.ConfigParseError](err); ok {
			err = bad.Unwrap()
		}
		return nil, errors.New(oneLine(err))
	}
	if err := s.checkKeys(v); err != nil {
		return nil, err
	}
	bind(v, "", Default())
	if err := bindNamed(v, s); err != nil {
		return nil, err
	}
	for key, flag := range flags {
		if err := v.BindPFlag(key, flag); err != nil {
			return nil, fmt.Errorf("flag --%s: %w", flag.Name, err)
		}
	}

	cfg := &Config{}
	err := v.Unmarshal(cfg, func(d *mapstructure.DecoderConfig) {
		d.WeaklyTypedInput = false
		d.ErrorUnused = true
		d.DecodeHook = mapstructure.DecodeHookFuncType(convert)
	})
	if err != nil {
		return nil, decodeError(err, s)
	}
	for id, room := range cfg.Rooms {
		room.ID = id
		cfg.Rooms[id] = room
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return cfg, nil
}

// checkKeys refuses what no setting is named.
func (s *schema) checkKeys(v *viper.Viper) error {
	keys := v.AllKeys()
	sort.Strings(keys)
	for _, key := range keys {
		pattern := s.pattern(key)
		if _, known := s.keys[pattern]; known {
			continue
		}
		if s.sections[pattern] {
			if v.Get(key) == nil { // "web:" with nothing in it
				continue
			}
			if _, isMap := v.Get(key).(map[string]any); isMap {
				continue
			}
			return fmt.Errorf("%s: wants a section, that is settings of its own, indented below it", key)
		}
		// The unknown part may be a section: name the first part that is.
		parts := strings.Split(key, ".")
		for i := 1; i <= len(parts); i++ {
			part := strings.Join(parts[:i], ".")
			p := s.pattern(part)
			if _, known := s.keys[p]; known || s.sections[p] {
				if known {
					return fmt.Errorf("%s: wants %s", part, kind(s.keys[p].typ))
				}
				continue
			}
			if near := s.nearest(part); near != "" {
				return fmt.Errorf("%s: unknown key; did you mean %s?", part, near)
			}
			return fmt.Errorf("%s: unknown key", part)
		}
	}
	return nil
}

// bind gives viper the default and the environment variable of every setting in
// the struct (or value) d.
func bind(v *viper.Viper, name string, d any) {
	value := reflect.ValueOf(d)
	switch {
	case isSection(value.Type()):
		for i := range value.NumField() {
			if key := value.Type().Field(i).Tag.Get("mapstructure"); key != "-" {
				bind(v, join(name, key), value.Field(i).Interface())
			}
		}
	case value.Kind() == reflect.Map: // members are bound by bindNamed
	default:
		v.SetDefault(name, d)
		// The only error is a call without a key.
		_ = v.BindEnv(name, Env(name))
	}
}

// bindNamed does the same for the sections that a person names: each room that is
// in the file starts from settings.Default.
func bindNamed(v *viper.Viper, s *schema) error {
	for _, section := range s.named {
		members, ok := v.Get(section).(map[string]any)
		if !ok {
			continue
		}
		for name, member := range members {
			if !validName.MatchString(name) {
				return fmt.Errorf("%s.%s: a name wants letters a-z, digits and dashes, at most 63", section, name)
			}
			if member == nil { // "main:" with nothing in it is a room with all defaults
				return fmt.Errorf("%s.%s: has no settings; write {} after it to take the defaults", section, name)
			}
			bind(v, section+"."+name, defaultMember(section))
		}
	}
	return nil
}

// decodeError puts what mapstructure says into one line that names the key.
func decodeError(err error, s *schema) error {
	var bad *mapstructure.DecodeError
	if !errors.As(err, &bad) {
		return errors.New(oneLine(err))
	}
	// rooms[main].title -> rooms.main.title; origins[1] -> the list
	key := strings.NewReplacer("[", ".", "]", "").Replace(bad.Name())
	for {
		if k, ok := s.keys[s.pattern(key)]; ok {
			if text, ok := errors.AsType[*moderation.TextError](err); ok {
				return fmt.Errorf("%s: %w", key, text)
			}
			if own, ok := errors.AsType[*valueError](err); ok {
				return fmt.Errorf("%s: wants %s, not %s", key, kind(k.typ), own.got)
			}
			if types, ok := errors.AsType[*mapstructure.UnconvertibleTypeError](err); ok {
				return fmt.Errorf("%s: wants %s, not %s", key, kind(k.typ), describe(types.Value))
			}
			return fmt.Errorf("%s: wants %s", key, kind(k.typ))
		}
		i := strings.LastIndex(key, ".")
		if i < 0 {
			return fmt.Errorf("%s: %s", bad.Name(), oneLine(bad.Unwrap()))
		}
		key = key[:i]
	}
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
