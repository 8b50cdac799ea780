package config

import (
	"cmp"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document is what a config.yaml says, and where. Keys are in small letters.
type document struct {
	file     string // its name, for mistakes
	values   map[string]any
	lines    map[string]int // by dotted key
	mistakes Mistakes       // what is left out of values
}

// yamlLine is how the parser says where something is.
var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)

// readDocument reads the text of a config.yaml. The error is of type Mistakes and says why nothing can be read at all.
func readDocument(file string, text []byte) (*document, error) {
	d := &document{file: file, lines: map[string]int{}}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, d.unreadable(err)
	}
	if root.Kind == 0 { // there is nothing in it
		return d, nil
	}
	top := root.Content[0]
	switch {
	case top.Kind == yaml.ScalarNode && top.Tag == "!!null":
		return d, nil
	case top.Kind != yaml.MappingNode:
		return nil, Mistakes{atLine(file, top.Line, "wants keys with values, such as data: /var/lib/rendezvous")}
	}
	d.walk(top, "")
	if err := root.Decode(&d.values); err != nil {
		return nil, d.unreadable(err)
	}
	return d, nil
}

// unreadable is what the parser says.
func (d *document) unreadable(err error) Mistakes {
	texts := []string{oneLine(err)}
	if all, ok := errors.AsType[*yaml.TypeError](err); ok {
		texts = all.Errors
	}
	var out Mistakes
	for _, text := range texts {
		if at := yamlLine.FindStringSubmatch(text); at != nil {
			line, _ := strconv.Atoi(at[1]) // the expression has seen to it
			out = append(out, atLine(d.file, line, "%s", oneLine(errors.New(at[2]))))
		} else {
			out = append(out, atLine(d.file, 0, "%s", oneLine(errors.New(text))))
		}
	}
	return out
}

// walk notes where each key stands, and takes out those that stand there twice. What an alias or a merge brings in has
// the line of the section it is brought into.
func (d *document) walk(n *yaml.Node, section string) {
	if n.Kind != yaml.MappingNode {
		return
	}
	var kept []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Tag == "!!merge" {
			kept = append(kept, k, v)
			continue
		}
		if k.Kind != yaml.ScalarNode || k.Tag == "!!null" || k.Value == "" {
			d.mistakes = append(d.mistakes, atLine(d.file, k.Line, "%s: has a key that is no text", cmp.Or(section, "the file")))
			continue
		}
		k.SetString(strings.ToLower(k.Value)) // a room may be called 1
		key := join(section, k.Value)
		if first, twice := d.lines[key]; twice {
			d.mistakes = append(d.mistakes, atLine(d.file, k.Line, "%s: stands on line %d already", key, first))
			continue
		}
		d.lines[key] = k.Line
		kept = append(kept, k, v)
		d.walk(v, key)
	}
	n.Content = kept
}

// line is where a key stands, or else the nearest section above that does; 0: nowhere.
func (d *document) line(key string) int {
	for {
		if line, ok := d.lines[key]; ok {
			return line
		}
		i := strings.LastIndex(key, ".")
		if i < 0 {
			return 0
		}
		key = key[:i]
	}
}

// wrong notes a mistake at a key.
func (d *document) wrong(key, format string, args ...any) {
	d.mistakes = append(d.mistakes, atLine(d.file, d.line(key), key+": "+format, args...))
}
