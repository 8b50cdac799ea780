package moderation

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of the rules into docs/moderation.md")

const (
	docsFile   = "../docs/moderation.md"
	tableBegin = "<!-- The table below is written by `go test ./moderation -update`. -->\n"
	tableEnd   = "<!-- End of the table. -->\n"
)

// markdown is the table of the rules for docs/moderation.md.
func markdown() string {
	role := func(r Role) string {
		if r == never {
			return "–"
		}
		return r.String()
	}
	abouts := map[about]string{
		nobody: "the meeting", present: "in the room", waiting: "in the lobby",
		anyone: "in the room or the lobby", known: "anybody here, just gone, or an identity",
	}
	var b strings.Builder
	b.WriteString("| order | least role | for oneself | about whom | also refused when |\n|---|---|---|---|---|\n")
	for _, r := range table {
		var when []string
		if r.rank {
			when = append(when, "the other has a higher role")
		}
		for _, k := range r.unless {
			when = append(when, k.words)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", r.action, role(r.others), role(r.self), abouts[r.about], strings.Join(when, "; "))
	}
	return b.String()
}

func TestDocumentedTable(t *testing.T) {
	file, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(file), tableBegin)
	documented, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table (between %q and %q)", docsFile, tableBegin, tableEnd)
	}
	if *update {
		if err := os.WriteFile(docsFile, []byte(before+tableBegin+markdown()+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if documented != markdown() {
		t.Errorf("%s does not show the rules as they are; run: go test ./moderation -update", docsFile)
	}
	for _, r := range table {
		if !strings.Contains(after, fmt.Sprintf("| `%s` |", r.action)) {
			t.Errorf("%s does not say what %q does", docsFile, r.action)
		}
	}
}
