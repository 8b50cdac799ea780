package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rendezvous/internal/lab/scenario"
)

// A path becomes as narrow as 500 kbit/s in the middle of a meeting, with a queue that holds two seconds: it drains, the picture keeps
// moving, the sound stays.
// What else happens to networks, and how good all of it is on a quiet machine, is for `make bench` to show.
func TestPathBecomesNarrow(t *testing.T) {
	s := scenario.Quick()
	r, err := scenario.Play(t.Context(), scenario.Options{
		Program: os.Getenv(envProgram), Config: "../../config.yaml", Keep: filepath.Join(artefacts(t), "networks"), Say: t.Logf,
	}, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the network itself was late by %v (99 %%)", r.Late)
	for i, v := range r.Judge(s) {
		target := s.Targets[i]
		unit, _, _ := strings.Cut(target.Unit, "-")
		if target.Met(v) {
			t.Logf("%s: %.2f %s", target.What, v, unit)
		} else {
			t.Errorf("%s: %.2f %s, limit %.2f", target.What, v, unit, target.Limit)
		}
	}
}
