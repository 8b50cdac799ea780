package page

import (
	"os/exec"
	"testing"
)

// The page's own tests, of what needs no browser, pass.
func TestPulse(t *testing.T) {
	b, err := exec.Command("node", "--test", "pulse_test.mjs").CombinedOutput()
	if err != nil {
		t.Fatalf("needs Debian's nodejs, as the linters do: %v\n%s", err, b)
	}
}
