package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
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

// Load reads and checks the whole configuration. What is wrong with it is an error of type Mistakes, all at once, but
// for a file that cannot be read.
func Load(src Source) (*Config, error) {
	text, err := os.ReadFile(src.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: no such file; name one with --config", src.File)
	case err != nil:
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return parse(filepath.Base(src.File), text, src.Flags)
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

// loader makes a Config of what a file, the environment and the flags say.
type loader struct {
	*document
	schema   *schema
	viper    *viper.Viper
	flags    map[string]*pflag.Flag
	defaults map[string]any  // of all settings, by key
	read     map[string]bool // secrets that stand in files
	bad      map[string]bool // keys whose mistakes are known
}

// parse makes a Config of the text of a config.yaml, which is called file, the flags and the environment.
func parse(file string, text []byte, flags map[string]*pflag.Flag) (*Config, error) {
	doc, err := readDocument(file, text)
	if err != nil {
		return nil, err
	}
	l := &loader{
		document: doc, schema: newSchema(), viper: viper.New(), flags: flags,
		defaults: map[string]any{}, read: map[string]bool{}, bad: map[string]bool{},
	}
	l.checkKeys("", doc.values)
	if err := l.viper.MergeConfigMap(doc.values); err != nil {
		return nil, fmt.Errorf("%s: %s", file, oneLine(err))
	}
	if err := l.bind(); err != nil {
		return nil, err
	}
	l.checkVariables(os.Environ())
	l.readSecrets()
	cfg := l.decode()
	for _, err := range flatten(cfg.check()) {
		l.checked(err)
	}
	if len(l.mistakes) > 0 {
		return nil, l.mistakes.inOrder()
	}
	return cfg, nil
}

// checkKeys refuses what no setting is named, and takes it out of values, which is the section of that name.
func (l *loader) checkKeys(section string, values map[string]any) {
	for _, name := range sortedKeys(values) {
		key, value := join(section, name), values[name]
		pattern := l.schema.pattern(key)
		setting, known := l.schema.keys[pattern]
		isSection := l.schema.sections[pattern]
		inner, isMap := value.(map[string]any)
		named := strings.HasSuffix(pattern, "."+wildcard) // by the person
		switch {
		case known && isMap:
			l.wrong(key, "wants %s", kind(setting.typ))
		case known:
			continue
		case isSection && named && !validName.MatchString(key[strings.LastIndex(key, ".")+1:]):
			l.wrong(key, "a name wants letters a-z, digits and dashes, at most 63")
		case isSection && named && value == nil: // "main:" with nothing in it is a room with all defaults
			l.wrong(key, "has no settings; write {} after it to take the defaults")
		case isSection && isMap:
			l.checkKeys(key, inner)
			continue
		case isSection && value == nil: // "web:" with nothing in it
			continue
		case isSection:
			l.wrong(key, "wants a section, that is settings of its own, indented below it")
		default:
			if near := l.schema.nearest(key); near != "" {
				l.wrong(key, "unknown key; did you mean %s?", near)
			} else {
				l.wrong(key, "unknown key")
			}
		}
		if known || isSection {
			l.bad[key] = true
		}
		delete(values, name)
	}
}

// bind gives viper the default, the environment variable and the flag of every setting. Of the sections that a person
// names, those have settings that are in the file: each room of it starts from settings.Default.
func (l *loader) bind() error {
	defaults("", Default(), false, l.defaults)
	for _, section := range l.schema.named {
		members, _ := l.viper.Get(section).(map[string]any)
		for name := range members {
			defaults(section+"."+name, defaultMember(section), false, l.defaults)
		}
	}
	l.viper.AllowEmptyEnv(true) // RENDEZVOUS_JAMI_STUN= is none
	for key, value := range l.defaults {
		l.viper.SetDefault(key, value)
		if err := l.viper.BindEnv(key, Env(key)); err != nil {
			return fmt.Errorf("variable %s: %w", Env(key), err)
		}
	}
	for key, flag := range l.flags {
		if err := l.viper.BindPFlag(key, flag); err != nil {
			return fmt.Errorf("flag --%s: %w", flag.Name, err)
		}
	}
	return nil
}

// defaults puts the default of every setting in the struct (or value) d into out, by key.
func defaults(name string, d any, secret bool, out map[string]any) {
	value := reflect.ValueOf(d)
	switch {
	case isSection(value.Type()):
		for i := range value.NumField() {
			f := value.Type().Field(i)
			if key := f.Tag.Get("mapstructure"); key != "-" {
				defaults(join(name, key), value.Field(i).Interface(), isSecret(f), out)
			}
		}
	case value.Kind() == reflect.Map: // members have defaults of their own
	default:
		out[name] = d
		if secret {
			out[name+fileSuffix] = ""
		}
	}
}

// decode reads the values into a Config. What cannot be read has its default there.
func (l *loader) decode() *Config {
	for {
		cfg := &Config{}
		err := l.viper.Unmarshal(cfg, func(d *mapstructure.DecoderConfig) {
			d.WeaklyTypedInput = false
			d.DecodeHook = mapstructure.DecodeHookFuncType(convert)
		})
		again := false
		for _, err := range flatten(err) {
			key, text := l.explain(err)
			if !l.bad[key] {
				again, l.bad[key] = true, true
				l.at(key, text)
			}
			if d, ok := l.defaults[key]; ok {
				l.viper.Set(key, d)
			}
		}
		if !again { // there is nothing wrong with it, or what is wrong has no default
			for id, room := range cfg.Rooms {
				room.ID = id
				cfg.Rooms[id] = room
			}
			return cfg
		}
	}
}

// explain puts what mapstructure says of one value into one line about its key.
func (l *loader) explain(err error) (key, text string) {
	var bad *mapstructure.DecodeError
	if !errors.As(err, &bad) {
		return "", oneLine(err)
	}
	// rooms[main].title -> rooms.main.title; origins[1] -> the list
	key = strings.NewReplacer("[", ".", "]", "").Replace(bad.Name())
	for {
		if k, ok := l.schema.keys[l.schema.pattern(key)]; ok {
			if text, ok := errors.AsType[*moderation.TextError](err); ok {
				return key, fmt.Sprintf("%s: %v", key, text)
			}
			if k.Secret { // its value is not for logs
				return key, fmt.Sprintf("%s: wants %s", key, kind(k.typ))
			}
			if own, ok := errors.AsType[*valueError](err); ok {
				return key, fmt.Sprintf("%s: wants %s, not %s", key, kind(k.typ), own.got)
			}
			if types, ok := errors.AsType[*mapstructure.UnconvertibleTypeError](err); ok {
				return key, fmt.Sprintf("%s: wants %s, not %s", key, kind(k.typ), describe(types.Value))
			}
			return key, fmt.Sprintf("%s: wants %s", key, kind(k.typ))
		}
		i := strings.LastIndex(key, ".")
		if i < 0 {
			return key, bad.Name() + ": " + oneLine(bad.Unwrap())
		}
		key = key[:i]
	}
}

// checked notes what a check says, unless it comes of a mistake that is known: it tried a default then.
func (l *loader) checked(err error) {
	text := oneLine(err)
	for key := range l.bad {
		if mentions(text, key) {
			return
		}
	}
	key, _, _ := strings.Cut(text, ": ")
	l.at(key, text)
}

// mentions tells whether an error is about a key or one below it, or names it.
func mentions(text, key string) bool {
	if strings.HasPrefix(text, key+":") || strings.HasPrefix(text, key+".") {
		return true
	}
	for word := range strings.FieldsSeq(text) {
		word = strings.TrimRight(word, ":,;")
		if strings.Contains(key, ".") && (word == key || strings.HasPrefix(word, key+".")) {
			return true
		}
	}
	return false
}

// at notes a mistake of a key's value, where the value came from.
func (l *loader) at(key, text string) {
	if l.read[key] {
		key += fileSuffix
	}
	m := atLine(l.file, l.line(key), "%s", text)
	if flag := l.flags[key]; flag != nil && flag.Changed {
		m = Mistake{Where: "--" + flag.Name, Text: text}
	} else if _, set := os.LookupEnv(Env(key)); set && l.defaults[key] != nil {
		m = Mistake{Where: Env(key), Text: text}
	}
	l.mistakes = append(l.mistakes, m)
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
