// Package findings has one finding of each family of checks, in the line that names it.
package findings

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"example.org/findings/old"
)

func Vet(name string) {
	fmt.Printf("%d", name) // want printf SA5009
	old.Logf("%d", name)   // want printf
}

func Bugs(wait int) {
	time.Sleep(5)                  // want SA1004
	old.Log("done")                // want SA1019
	if len(fmt.Sprint(wait)) < 0 { // want SA4024
		panic("less than nothing")
	}
}

func Simple(done bool) bool {
	if done == true { // want S1002
		return false
	}
	return done
}

func Style() error {
	return errors.New("An error") // want ST1005
}

func Wrapped(err error) error {
	if err == io.ErrNoProgress { // want errorlint
		return nil
	}
	if _, ok := err.(*Late); ok { // want errorlint
		return nil
	}
	return fmt.Errorf("reading: %v", err) // want errorlint
}

type Late struct{}

func (*Late) Error() string { return "late" }

func Modern(list string) (n int) {
	for _, item := range strings.Split(list, ",") { // want stringsseq
		n += len(item)
	}
	for i := 0; i < 10; i++ { // want rangeint
		n += i
	}
	return n
}

func unused() {} // want U1000

func usedByTest() {}

func usedByOuterTest() {}

type generic[T any] struct {
	used   T
	unused T // want U1000
}

func Generic() int { return generic[int]{}.used }

func Excused() {
	//lint:ignore SA1004 the shortest of pauses
	time.Sleep(5)
	time.Sleep(6) //lint:ignore SA1004,SA1019 at the end of a line

	time.Sleep(time.Second) //lint:ignore SA1004 nothing is here; want ignore
	//lint:excuse SA1004 another word; want ignore
	time.Sleep(7) // want SA1004
}
