package jamilab

import "testing"

func TestSaid(t *testing.T) {
	out := "=== RUN   TestX\n    x_test.go:7: p1 CURRENT after 20ms\nlevel=INFO msg=stopped\n" +
		"    run.go:163: log of p1\n        x_test.go:9: not told\n--- FAIL: TestX (1s)\n"
	if got, want := said(out), "    x_test.go:7: p1 CURRENT after 20ms\n        x_test.go:9: not told\n"; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
}
