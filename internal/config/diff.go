package config

import (
	"reflect"
	"sort"
	"strings"
)

// Change is a setting in which two configurations differ.
type Change struct {
	Key  string // "rooms.main.title", "web.listen"; a room that came or went: "rooms.main"
	Live bool   // can be changed while calls go on
}

// Diff lists what differs between two configurations, in alphabetic order.
func Diff(before, after *Config) []Change {
	var changes []Change
	diff(&changes, "", false, reflect.ValueOf(*before), reflect.ValueOf(*after))
	sort.Slice(changes, func(i, j int) bool { return changes[i].Key < changes[j].Key })
	return changes
}

func diff(out *[]Change, name string, live bool, a, b reflect.Value) {
	switch {
	case isSection(a.Type()):
		for i := range a.NumField() {
			f := a.Type().Field(i)
			if key := f.Tag.Get("mapstructure"); key != "-" {
				diff(out, join(name, key), isLive(f, live), a.Field(i), b.Field(i))
			}
		}
	case a.Kind() == reflect.Map:
		for _, k := range a.MapKeys() {
			if other := b.MapIndex(k); other.IsValid() {
				diff(out, join(name, k.String()), live, a.MapIndex(k), other)
			} else {
				*out = append(*out, Change{join(name, k.String()), live})
			}
		}
		for _, k := range b.MapKeys() {
			if !a.MapIndex(k).IsValid() {
				*out = append(*out, Change{join(name, k.String()), live})
			}
		}
	case a.Kind() == reflect.Slice:
		if a.Len() == 0 && b.Len() == 0 { // nil and empty are the same setting
			return
		}
		fallthrough
	default:
		if !reflect.DeepEqual(a.Interface(), b.Interface()) {
			*out = append(*out, Change{name, live})
		}
	}
}

// Live returns before with all live settings taken from after: what is in force
// after a reload.
func Live(before, after *Config) *Config {
	merged := *before
	takeLive(reflect.ValueOf(&merged).Elem(), reflect.ValueOf(*after))
	return &merged
}

func takeLive(to, from reflect.Value) {
	for i := range to.NumField() {
		f := to.Type().Field(i)
		switch {
		case f.Tag.Get("live") == "yes":
			to.Field(i).Set(from.Field(i))
		case f.Type.Kind() == reflect.Struct:
			takeLive(to.Field(i), from.Field(i))
		}
	}
}

// Names joins the keys of changes for a log line.
func Names(changes []Change) string {
	names := make([]string, len(changes))
	for i, c := range changes {
		names[i] = c.Key
	}
	return strings.Join(names, ", ")
}
