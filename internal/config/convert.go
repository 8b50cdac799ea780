package config

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"rendezvous/conference/settings"
)

// valueError is a value of the wrong kind.
type valueError struct{ got string }

func (e *valueError) Error() string { return "not " + e.got }

// convert turns what YAML or an environment variable holds into what a setting
// wants, where mapstructure would not or would be too lenient.
func convert(from, to reflect.Type, data any) (any, error) {
	switch to {
	case reflect.TypeFor[time.Duration]():
		return duration(data)
	case reflect.TypeFor[Size]():
		return size(data)
	case reflect.TypeFor[[]string]():
		return list(data)
	}
	text, isText := data.(string)
	switch {
	case from != to && readsText(to):
		return read(to, data)
	case to.Kind() == reflect.Int && isText:
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return nil, &valueError{describe(data)}
		}
		return n, nil
	case to.Kind() == reflect.Int && from.Kind() == reflect.Float64:
		return nil, &valueError{describe(data)}
	case to.Kind() == reflect.Bool && isText:
		switch strings.ToLower(strings.TrimSpace(text)) {
		case "true", "yes", "on", "1":
			return true, nil
		case "false", "no", "off", "0":
			return false, nil
		}
		return nil, &valueError{describe(data)}
	}
	return data, nil
}

func duration(data any) (any, error) {
	if d, ok := data.(time.Duration); ok {
		return d, nil
	}
	d, err := read(reflect.TypeFor[settings.Duration](), data)
	if err != nil {
		return nil, err
	}
	return time.Duration(d.(settings.Duration)), nil
}

// read makes a value that reads itself from text.
func read(to reflect.Type, data any) (any, error) {
	if data == 0 && to == reflect.TypeFor[settings.Duration]() {
		return settings.Duration(0), nil
	}
	text, ok := data.(string)
	if !ok {
		return nil, &valueError{describe(data)}
	}
	value := reflect.New(to)
	if err := value.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
		return nil, err
	}
	return value.Elem().Interface(), nil
}

var units = []struct {
	suffix string
	bytes  float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

func size(data any) (any, error) {
	switch d := data.(type) {
	case Size:
		return d, nil
	case int:
		return Size(d), nil
	case string:
		for _, u := range units {
			number, ok := strings.CutSuffix(strings.TrimSpace(d), u.suffix)
			if !ok {
				continue
			}
			n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
			if err == nil && n >= 0 && n*u.bytes < math.MaxInt64 {
				return Size(n * u.bytes), nil
			}
			break
		}
	}
	return nil, &valueError{describe(data)}
}

// list takes a YAML list of texts, or one text with commas (environment variables and flags).
func list(data any) (any, error) {
	switch d := data.(type) {
	case []string:
		return d, nil
	case string:
		out := []string{}
		for item := range strings.SplitSeq(d, ",") {
			if item = strings.TrimSpace(item); item != "" {
				out = append(out, item)
			}
		}
		return out, nil
	case []any:
		out := make([]string, len(d))
		for i, item := range d {
			text, ok := item.(string)
			if !ok {
				return nil, &valueError{"a list with " + describe(item)}
			}
			out[i] = text
		}
		return out, nil
	case nil:
		return []string{}, nil
	}
	return nil, &valueError{describe(data)}
}

// describe says what a value is, for people.
func describe(v any) string {
	switch d := v.(type) {
	case nil:
		return "nothing"
	case string:
		return strconv.Quote(d)
	case bool:
		return strconv.FormatBool(d)
	case int, int64, uint64, float64:
		return fmt.Sprintf("the number %v", d)
	case []any:
		return "a list"
	case map[string]any, map[any]any:
		return "a section"
	}
	return fmt.Sprintf("%v", v)
}
