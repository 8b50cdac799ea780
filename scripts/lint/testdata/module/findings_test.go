package findings

import (
	"fmt"
	"testing"
)

var UsedByOuterTest = usedByOuterTest

func TestUse(t *testing.T) {
	usedByTest()
	t.Log(fmt.Sprintf("%s", "text")) // want S1025 S1038
}

func unusedInTest() {} // want U1000
