package web

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rendezvous/conference"
	"rendezvous/conference/audit"
	"rendezvous/moderation"
	"rendezvous/signalling/web/control"
)

// toPage is what a page is sent, by the Go type of it. That no type is missing, the test finds out from the source.
var toPage = []any{
	welcomeMessage{}, refusal{}, plainMessage{}, answerMessage{}, infoMessage{}, chatMessage{}, reactionMessage{}, noticeMessage{}, resultMessage{},
	recordingsMessage{}, auditMessage{}, inviteMessage{}, linksMessage{}, contactsMessage{}, pongMessage{}, errorMessage{}, endedMessage{},
}

// What page and host say to each other is the same in the host's messages, in the page's types and in the document.
func TestProtocolIsDocumented(t *testing.T) {
	doc := read(t, "../../docs/page-protocol.md")
	types := interfaces(t, read(t, "page/protocol.d.ts"))
	files := source(t, ".")

	// From the page: the constants, and the fields of the one struct that all of them are read into.
	said := rows(t, doc, "## From the page")
	same(t, "what a page sends: message.go and the document", constants(files, func(name, _ string) bool { return strings.HasPrefix(name, "msg") }), keys(said))
	var fields []string
	for kind, row := range said {
		fields = append(fields, row...)
		same(t, "a page's "+kind+": protocol.d.ts and the document", types[kind+">"], row)
	}
	slices.Sort(fields)
	same(t, "what a page sends: clientMessage and the document", jsonFields(reflect.TypeFor[clientMessage]()), slices.Compact(fields))

	// From the host: what the source makes of each type.
	told := rows(t, doc, "## From the host")
	kinds := map[string][]string{} // by kind of message, its fields
	for _, v := range toPage {
		of := reflect.TypeOf(v)
		for _, kind := range made(files, of.Name()) {
			kinds[kind] = jsonFields(of)
		}
	}
	same(t, "what a page is sent: the host's code and the document", keys(kinds), keys(told))
	for kind, want := range kinds {
		same(t, "the host's "+kind+": its type and the document", want, told[kind])
		same(t, "the host's "+kind+": its type and protocol.d.ts", want, types["<"+kind])
	}
	declared := map[string]bool{}
	for _, v := range toPage {
		declared[reflect.TypeOf(v).Name()] = true
	}
	for name := range messageTypes(files) {
		if !declared[name] && name != "clientMessage" {
			t.Errorf("%s has a field Type for the page, and is not in toPage", name)
		}
	}

	// What they are made of.
	for name, of := range map[string]reflect.Type{
		"Order": reflect.TypeFor[moderation.Order](), "ParticipantTold": reflect.TypeFor[infoPerson](), "StreamTold": reflect.TypeFor[infoStream](),
		"Message": reflect.TypeFor[conference.Message](), "Notice": reflect.TypeFor[conference.Notice](), "RecordingLink": reflect.TypeFor[recordingLink](),
		"AuditEntry": reflect.TypeFor[audit.Entry](), "Way": reflect.TypeFor[way](), "ContactRequest": reflect.TypeFor[control.ContactRequest](),
		"Network": reflect.TypeFor[control.Network](), "PageLink": reflect.TypeFor[pageLink](),
	} {
		same(t, name+" in Go and in protocol.d.ts", jsonFields(of), types[name])
	}
	head := slices.DeleteFunc(jsonFields(reflect.TypeFor[conference.Info]()), func(f string) bool { return f == "participants" || f == "serial" })
	same(t, "the head in Go and in protocol.d.ts", head, types["Head"])

	// And no more than that.
	var declaredKinds, documentedKinds []string
	for name := range types {
		if strings.ContainsAny(name, "<>") {
			declaredKinds = append(declaredKinds, name)
		}
	}
	for kind := range said {
		documentedKinds = append(documentedKinds, kind+">")
	}
	for kind := range told {
		documentedKinds = append(documentedKinds, "<"+kind)
	}
	same(t, "kinds of messages in protocol.d.ts and in the document", declaredKinds, documentedKinds)

	// Codes.
	rooms := source(t, "../../conference")
	refusals := slices.Concat(constants(rooms, ofType("RefusalCode")), constants(files, ofType("conference.RefusalCode")), []string{"error"})
	same(t, "refusals in Go and in the document", refusals, keys(rows(t, doc, "### Refusals")))
	same(t, "reasons in Go and in the document", constants(rooms, ofType("EndReason")), keys(rows(t, doc, "### Reasons of the end")))
	same(t, "notices in Go and in the document", constants(rooms, ofType("NoticeKind")), keys(rows(t, doc, "### Notices")))
}

// The page's log of orders says on or off of those orders that are either, as lists do elsewhere; and its reactions are those that there are.
func TestPageKnowsTheOrders(t *testing.T) {
	quoted := regexp.MustCompile(`'([^']+)'`)
	list := func(file, begin, end string) (words []string) {
		t.Helper()
		_, rest, ok := strings.Cut(read(t, "page/static/"+file), begin)
		if !ok {
			t.Fatalf("%s has no %q", file, begin)
		}
		rest, _, _ = strings.Cut(rest, end)
		for _, m := range quoted.FindAllStringSubmatch(rest, -1) {
			words = append(words, m[1])
		}
		return words
	}
	var either []string
	for _, action := range constants(source(t, "../../moderation"), ofType("Action")) {
		if strings.HasSuffix(moderation.Order{Action: moderation.Action(action)}.String(), " off") {
			either = append(either, action)
		}
	}
	same(t, "orders that are on or off in Go and in panel.js", either, list("panel.js", "const switched = new Set([", "]"))
	var signs []string
	for i, word := range list("reactions.js", "const signs = [", ";") {
		if i%2 == 0 { // each with its name
			signs = append(signs, word)
		}
	}
	same(t, "reactions in Go and in reactions.js", moderation.Reactions(), signs)
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// same compares two lists of names in any order.
func same(t *testing.T, what string, a, b []string) {
	t.Helper()
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	if !slices.Equal(a, b) {
		t.Errorf("%s differ:\n%q\n%q", what, a, b)
	}
}

func keys(m map[string][]string) []string { return slices.Collect(maps.Keys(m)) }

var code = regexp.MustCompile("`([^`]+)`")

// rows reads the table below a heading of the document: what stands in the first column, each with the names in the
// second one.
func rows(t *testing.T, doc, heading string) map[string][]string {
	t.Helper()
	_, section, ok := strings.Cut(doc, heading+"\n")
	if !ok {
		t.Fatalf("the document has no %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n#")
	out := map[string][]string{}
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.Contains(cells[1], "`") {
			continue
		}
		var fields []string
		for _, m := range code.FindAllStringSubmatch(cells[2], -1) {
			fields = append(fields, m[1])
		}
		for _, m := range code.FindAllStringSubmatch(cells[1], -1) {
			out[m[1]] = fields
		}
	}
	return out
}

var (
	declaration = regexp.MustCompile(`(?s)export interface (\w+) \{(.*?)\}`)
	member      = regexp.MustCompile(`(\w+)\??:`)
	kindOf      = regexp.MustCompile(`\btype: '([\w-]+)'`)
)

// interfaces reads protocol.d.ts: the fields of each interface, of messages without their type. Messages are also there
// by their kind, "ping>" from the page and "<pong" from the host.
func interfaces(t *testing.T, text string) map[string][]string {
	t.Helper()
	page, host, ok := strings.Cut(text, "// --- from the host")
	if !ok {
		t.Fatal("protocol.d.ts does not say where the host's messages begin")
	}
	out := map[string][]string{}
	for from, part := range map[string]string{">": page, "<": host} {
		for _, m := range declaration.FindAllStringSubmatch(part, -1) {
			var fields []string
			kind := kindOf.FindStringSubmatch(m[2])
			for _, f := range member.FindAllStringSubmatch(m[2], -1) {
				if f[1] != "type" || kind == nil {
					fields = append(fields, f[1])
				}
			}
			out[m[1]] = fields
			switch {
			case kind == nil:
			case from == ">":
				out[kind[1]+from] = fields
			default:
				out[from+kind[1]] = fields
			}
		}
	}
	return out
}

// jsonFields lists what encoding/json makes of a struct, without the type of a message.
func jsonFields(of reflect.Type) (names []string) {
	for _, f := range reflect.VisibleFields(of) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		isKind := f.Name == "Type" && len(f.Index) == 1
		if name != "" && name != "-" && !isKind {
			names = append(names, name)
		}
	}
	return names
}

// source parses the files of a folder that are no tests.
func source(t *testing.T, dir string) (files []*ast.File) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		if strings.HasSuffix(p, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

func ofType(want string) func(name, typ string) bool {
	return func(_, typ string) bool { return typ == want }
}

// constants lists the texts of constants, chosen by their name and type.
func constants(files []*ast.File, want func(name, typ string) bool) (texts []string) {
	inspect(files, func(n ast.Node) {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Names) != 1 || len(v.Values) != 1 || !want(v.Names[0].Name, typeName(v.Type)) {
			return
		}
		if s, ok := text(v.Values[0]); ok {
			texts = append(texts, s)
		}
	})
	return texts
}

// made lists the kinds of message that the source makes of a type.
func made(files []*ast.File, name string) (kinds []string) {
	inspect(files, func(n ast.Node) {
		c, ok := n.(*ast.CompositeLit)
		if !ok || typeName(c.Type) != name || len(c.Elts) == 0 {
			return
		}
		first := c.Elts[0]
		if kv, ok := first.(*ast.KeyValueExpr); ok {
			first = kv.Value
		}
		if s, ok := text(first); ok && !slices.Contains(kinds, s) {
			kinds = append(kinds, s)
		}
	})
	return kinds
}

// messageTypes are the structs whose first field is the kind of a message.
func messageTypes(files []*ast.File) map[string]bool {
	out := map[string]bool{}
	inspect(files, func(n ast.Node) {
		if s, ok := n.(*ast.TypeSpec); ok {
			if st, ok := s.Type.(*ast.StructType); ok && len(st.Fields.List) > 0 {
				if f := st.Fields.List[0]; f.Tag != nil && f.Tag.Value == "`json:\"type\"`" {
					out[s.Name.Name] = true
				}
			}
		}
	})
	return out
}

func inspect(files []*ast.File, visit func(ast.Node)) {
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			visit(n)
			return true
		})
	}
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return typeName(e.X) + "." + e.Sel.Name
	}
	return ""
}

func text(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(l.Value)
	return s, err == nil
}
