package recordings

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// A test that needs a process of its own starts this binary again with childTask set.
const childTask = "RECORDINGS_TEST_CHILD"

func TestMain(m *testing.M) {
	if task := os.Getenv(childTask); task != "" {
		children[task]()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
