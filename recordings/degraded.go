package recordings

import "fmt"

// Degraded are what keeps the library from recording, or from giving out what was recorded, a line each.
func (l *Library) Degraded() (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.mark.check(); err != nil {
		return []string{"nothing is recorded: " + oneLine(err)}
	}
	if l.unsaved {
		lines = append(lines, "the catalogue of recordings cannot be written")
	}
	if left, err := free(l.cfg.Dir); err == nil && left < l.keep.MinFree {
		lines = append(lines, fmt.Sprintf("nothing is recorded: the disk has only %d MB free, less than the %d MB to be left", left/1e6, l.keep.MinFree/1e6))
	}
	damaged := 0
	for _, e := range l.entries {
		if e.State == Damaged {
			damaged++
		}
	}
	if damaged > 0 {
		lines = append(lines, fmt.Sprintf("%d recordings are damaged (rendezvous recordings repair)", damaged))
	}
	if n := len(l.missing); n > 0 {
		lines = append(lines, fmt.Sprintf("the folders of %d recordings are missing", n))
	}
	return lines
}
