package recordings

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"rendezvous/recordings/sealed"
)

// Export copies all files of a recording, in the clear, into a new folder. dir is the
// library's folder, which may be in use; keys open what is sealed. A file whose hash is
// not that of its entry is an error.
func Export(dir string, keys sealed.Keyring, room, id, to string) error {
	if !validRoom.MatchString(room) || !validID.MatchString(id) {
		return ErrNotFound
	}
	d := disk{keys: keys}
	from := filepath.Join(dir, room, id)
	s, err := d.readSidecar(from)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	if s.unfinished() {
		return ErrRunning
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	for _, f := range append(s.Files, File{Name: sidecarFile}, File{Name: ChaptersFile}) {
		path := filepath.Join(to, f.Name)
		if err := d.export(filepath.Join(from, f.Name), path); err != nil {
			return err
		}
		if _, sum, err := d.hash(context.Background(), path, nil); err != nil || f.SHA3 != "" && sum != f.SHA3 {
			return errors.Join(err, fmt.Errorf("%s: is not what was recorded: its hash is wrong", f.Name))
		}
	}
	return nil
}

func (d disk) export(from, to string) error {
	in, err := d.open(from, false)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := disk{}.create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	if e := out.Close(); err == nil {
		err = e
	}
	return err
}
