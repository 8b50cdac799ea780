package jamilab

import "testing"

// A source that a daemon had open when it was stopped is not open in the next one.
func TestOpenAfterRestart(t *testing.T) {
	const film = "file:///film.mp4"
	p := &Peer{}
	told := func(name string) { p.signals = append(p.signals, Signal{Name: name, Args: []any{film}}) }
	for _, step := range []struct {
		name string
		do   func()
		want bool
	}{
		{"nothing was told", func() {}, false},
		{"started", func() { told("decodingStarted") }, true},
		{"stopped", func() { told("decodingStopped") }, false},
		{"started again", func() { told("decodingStarted") }, true},
		{"another daemon", func() { p.begun = len(p.signals) }, false},
		{"started there", func() { told("decodingStarted") }, true},
	} {
		step.do()
		if got := p.open(film); got != step.want {
			t.Errorf("%s: open is %v", step.name, got)
		}
	}
}
