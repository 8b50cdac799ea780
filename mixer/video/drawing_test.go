package video

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
)

// A person's avatar is of the same colour on the canvas and in the list beside it, which the browsers' page draws.
func TestAvatarColoursAreThePages(t *testing.T) {
	const page = "../../signalling/web/page/"
	css, err := os.ReadFile(page + "static/app.css")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, m := range regexp.MustCompile(`\.hue(\d+) \{ background-color: (#[0-9a-f]{6}); \}`).FindAllStringSubmatch(string(css), -1) {
		i, _ := strconv.Atoi(m[1])
		if i >= len(avatarColours) {
			t.Errorf("the page has one more colour: %s", m[0])
			continue
		}
		found++
		if c := avatarColours[i]; m[2] != fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) {
			t.Errorf("colour %d is %v here and %s in the page", i, c, m[2])
		}
	}
	if found != len(avatarColours) {
		t.Errorf("the page has %d colours of %d", found, len(avatarColours))
	}
	text, err := os.ReadFile(page + "testdata/hues.json") // the page's own test reads it, too
	if err != nil {
		t.Fatal(err)
	}
	var hues map[string]uint8
	if err := json.Unmarshal(text, &hues); err != nil {
		t.Fatal(err)
	}
	for name, want := range hues {
		if got := hueOf(name); got != want {
			t.Errorf("%q has colour %d here, and %d in the page", name, got, want)
		}
	}
}
