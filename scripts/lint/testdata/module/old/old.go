// Package old is a dependency: what is known of it comes from facts.
package old

import "fmt"

// Deprecated: use [Logf].
func Log(text string) { Logf("%s", text) }

// Logf is a wrapper of Printf.
func Logf(format string, args ...any) { fmt.Printf(format, args...) }
