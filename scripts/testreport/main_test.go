package main

import (
	"strings"
	"testing"
)

const stream = `{"Action":"output","Package":"p","Test":"TestGood","Output":"    a_test.go:1: on its way\n"}
{"Action":"pass","Package":"p","Test":"TestGood","Elapsed":12.5}
{"Action":"output","Package":"p","Test":"TestBad","Output":"a log of a daemon\n"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"    a_test.go:7: waited in vain\n"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"more of the daemon\n"}
{"Action":"fail","Package":"p","Test":"TestBad","Elapsed":1}
{"Action":"skip","Package":"p","Test":"TestSkipped","Elapsed":0}
{"Action":"fail","Package":"p","Elapsed":14}
`

func TestReport(t *testing.T) {
	var out strings.Builder
	r := newReport(&out)
	if err := r.read(strings.NewReader(stream)); err != nil {
		t.Fatal(err)
	}
	if r.summary() {
		t.Error("the summary says that all is well")
	}
	const end = `slow:   12.5 s  p TestGood
failed: p TestBad
    a_test.go:7: waited in vain
skipped: p.TestSkipped
tests: 1 passed, 1 failed, 1 skipped (subtests included) in 1 packages, 1 of them failed
`
	if !strings.HasSuffix(out.String(), end) {
		t.Errorf("the report is\n%s\nwant it to end with\n%s", out.String(), end)
	}
	if !strings.Contains(out.String(), "more of the daemon") || strings.Contains(out.String(), "on its way") {
		t.Errorf("the whole output of what failed, and nothing else, is wanted:\n%s", out.String())
	}
}

func TestReportOfNothing(t *testing.T) {
	if newReport(&strings.Builder{}).summary() {
		t.Error("no package at all is well")
	}
}
