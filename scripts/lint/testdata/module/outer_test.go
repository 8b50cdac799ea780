package findings_test

import (
	"testing"

	"example.org/findings"
)

func TestOuter(t *testing.T) { findings.UsedByOuterTest() }

func unusedInOuterTest() {} // want U1000
