package recordings

import (
	"fmt"
	"strings"
	"syscall"
)

// free is how much room unprivileged users have left on a path's file system, bytes.
func free(path string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(path, &fs); err != nil {
		return 0, fmt.Errorf("looking at the free space of %s: %w", path, err)
	}
	return int64(fs.Bavail) * fs.Bsize, nil
}

// checkSpace refuses when the disk is as good as full.
func (l *Library) checkSpace(dir string) error {
	left, err := free(dir)
	if err != nil {
		return err
	}
	if least := l.retention().MinFree; left < least {
		return fmt.Errorf("the disk has only %d MB free, less than the %d MB to be left", left/1e6, least/1e6)
	}
	return nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
