package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Neither check-config nor serve takes a key file with which recordings would not be safe.
func TestKeyFile(t *testing.T) {
	good := strings.Repeat("0123456789abcdef", 4) + "\n"
	for _, tc := range []struct {
		name, path, text string
		mode             os.FileMode
		want             string // what follows "recordings.key_file: "; empty: it is in order
	}{
		{"in order", "key", good, 0o600, ""},
		{"missing", "key", "", 0, "open key: no such file or directory"},
		{"short", "key", good[:62] + "\n", 0o600, "key: line 1: a key has 32 bytes, not 31"},
		{"empty", "key", "\n", 0o600, "key: no key in it"},
		{"no key", "key", "secret\n", 0o600, "key: line 1: a key is written in hex or base64"},
		{"everybody can read it", "key", good, 0o644, "key can be read by everybody or changed by others (mode 0644); make it 0600"},
		{"in the data folder", "data/key", good, 0o600, "data/key lies in the data folder: whoever takes that would have the key too"},
		{"in the data folder by another name", "link", good, 0o600, "link lies in the data folder: whoever takes that would have the key too"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.Replace(`key_file: ""`, "key_file: "+tc.path)
			require.NoError(t, os.Mkdir(s.Data(""), 0o700))
			if tc.path == "link" {
				require.NoError(t, os.Symlink("data/real", filepath.Join(s.Dir, "link")))
			}
			if tc.mode != 0 {
				require.NoError(t, os.WriteFile(filepath.Join(s.Dir, tc.path), []byte(tc.text), 0o600))
				require.NoError(t, os.Chmod(filepath.Join(s.Dir, tc.path), tc.mode))
			}
			_, stderr, err := s.Run("check-config")
			if tc.want == "" {
				require.NoError(t, err, stderr)
				return
			}
			require.Error(t, err)
			require.True(t, strings.HasSuffix(stderr, "recordings.key_file: "+tc.want+"\n"), stderr)
			require.NotContains(t, stderr, "0123456789abcdef", "a key is not told")
			_, stderr, err = s.Run("serve")
			require.Error(t, err)
			require.True(t, strings.HasSuffix(stderr, "recordings.key_file: "+tc.want+"\n"), stderr)
		})
	}
}
