package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// secretNames are how secrets are called.
var secretNames = regexp.MustCompile(`(secret|password|credential|token|pin|key|turn)$`)

// namesOfFiles are settings that are called so and are paths already.
var namesOfFiles = []string{"web.tls.key", "sip.key"}

// secretFile writes a file that holds a secret.
func secretFile(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte(text), mode))
	require.NoError(t, os.Chmod(path, mode))
	return path
}

// withMembers names one of everything that a person names, and says nothing of it that a secret is.
const withMembers = "web: {ice: {servers: ['turn:t.example.org']}}\nrooms: {x: {}}\npeople: {x: {}}\nwebhooks: {x: {url: 'http://x'}}\n" +
	"sip: {users: {x: {}}, trunks: {x: {registrar: 'sip:r', username: u}}}\napi: {tokens: {x: {}}}\n"

func TestEverySecretMayStandInAFile(t *testing.T) {
	s := newSchema()
	var secrets int
	for _, k := range Keys() {
		if secretNames.MatchString(k.Name) && !strings.HasSuffix(k.Name, fileSuffix) && !slices.Contains(namesOfFiles, k.Name) {
			require.True(t, k.Secret, "%s sounds like a secret: make it a Secret, or tag it", k.Name)
		}
		if !k.Secret {
			continue
		}
		secrets++
		require.Contains(t, s.keys, k.Name+fileSuffix)
		require.Equal(t, k.Live, s.keys[k.Name+fileSuffix].Live)
		name := strings.ReplaceAll(k.Name, wildcard, "x")
		t.Run(name, func(t *testing.T) {
			const value = "12345678901234567890"
			text, want := value+"\r\n", value
			if k.typ.Kind() == reflect.Slice {
				text, want = "ann:secret@turn.example.org:3478\nbob:secret@turn.example.org:3478\n", "ann:secret@turn.example.org:3478,bob:secret@turn.example.org:3478"
			}
			path := secretFile(t, text, 0o600)
			t.Setenv(Env(name+fileSuffix), path)
			_, err := parse("config.yaml", []byte(withMembers), nil)
			require.NotContains(t, errorText(err), name+":", "the file is read")

			t.Setenv(Env(name), want)
			_, err = parse("config.yaml", []byte(withMembers), nil)
			require.Contains(t, errorText(err), Env(name+fileSuffix)+": "+name+fileSuffix+": "+name+" is set too; choose one\n")

			// The same value comes of the file and of the variable.
			t.Setenv(Env(name+fileSuffix), "")
			byVariable := valueOf(t, name)
			t.Setenv(Env(name), "")
			t.Setenv(Env(name+fileSuffix), path)
			require.Equal(t, byVariable, valueOf(t, name))
			require.NotEmpty(t, byVariable)
		})
	}
	require.GreaterOrEqual(t, secrets, 10)
}

// errorText has a line for each mistake.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error() + "\n"
}

// valueOf is what a secret is, whatever else is wrong.
func valueOf(t *testing.T, name string) any {
	t.Helper()
	for key, text := range map[string]string{
		"webhooks.x.secret": "12345678901234567890", "api.tokens.x.secret": "12345678901234567890", "sip.users.x.password": "12345678901234567890",
	} {
		if key != name {
			t.Setenv(Env(key), text)
		}
	}
	cfg, err := parse("config.yaml", []byte(withMembers), nil)
	require.NoError(t, err)
	base := &Config{}
	for _, c := range Diff(base, cfg) {
		if strings.HasPrefix(name, c.Key) {
			return lookUp(reflect.ValueOf(*cfg), strings.Split(name, "."))
		}
	}
	return nil
}

// lookUp follows a key through a Config.
func lookUp(v reflect.Value, parts []string) any {
	if len(parts) == 0 {
		return v.Interface()
	}
	if v.Kind() == reflect.Map {
		return lookUp(v.MapIndex(reflect.ValueOf(parts[0])), parts[1:])
	}
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("mapstructure") == parts[0] {
			return lookUp(v.Field(i), parts[1:])
		}
	}
	return nil
}

func TestFilesThatHoldNoSecret(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for path, want := range map[string]string{
		secretFile(t, "a", 0o644):                              "can be read by everybody or changed by others (mode 0644); make it 0600",
		secretFile(t, "b", 0o620):                              "can be read by everybody or changed by others (mode 0620); make it 0600",
		secretFile(t, "\n", 0o600):                             "is empty",
		secretFile(t, strings.Repeat("x", maxSecret+1), 0o600): "is larger than 65536 bytes",
		pipe:                       "is no file",
		dir:                        "is no file",
		filepath.Join(dir, "none"): "no such file or directory",
		"credential:join":          "wants to be started by systemd with LoadCredential=join:FILE; $CREDENTIALS_DIRECTORY is not set",
		"credential:../join":       `"../join" is no name of a credential`,
	} {
		_, err := parse("config.yaml", []byte("\n\nweb: {join_secret_file: '"+path+"'}"), nil)
		all := mistakes(t, err)
		require.Len(t, all, 1)
		require.Equal(t, "config.yaml:3", all[0].Where)
		require.Regexp(t, `^web\.join_secret_file: .*`+regexp.QuoteMeta(want)+`$`, all[0].Text)
	}
	// A mistake in what stands in a file is told at the line that names it.
	_, err := parse("config.yaml", []byte("\nweb:\n  join_secret_file: "+secretFile(t, "short", 0o640)), nil)
	require.EqualError(t, err, "config.yaml:3: web.join_secret: wants at least 16 characters")
	_, err = parse("config.yaml", []byte("web:\n  join_secret_file: 5"), nil)
	require.EqualError(t, err, "config.yaml:2: web.join_secret_file: wants text (in quotes), not the number 5")
}

func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "join"), []byte("0123456789abcdef\n"), 0o400))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "recordings"), []byte("x"), 0o400))
	cfg, err := parse("config.yaml", []byte("web: {join_secret_file: 'credential:join'}\nrecordings: {key_file: 'credential:recordings'}"), nil)
	require.NoError(t, err)
	require.Equal(t, Secret("0123456789abcdef"), cfg.Web.JoinSecret)
	require.Equal(t, filepath.Join(dir, "recordings"), cfg.Recordings.KeyFile)
}

func TestASecretIsReadAgain(t *testing.T) {
	path := secretFile(t, "0123456789abcdef", 0o600)
	text := []byte("api: {tokens: {bot: {secret_file: " + path + "}}}")
	before, err := parse("config.yaml", text, nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte("fedcba9876543210"), 0o600))
	after, err := parse("config.yaml", text, nil)
	require.NoError(t, err)
	require.Equal(t, []Change{{"api.tokens.bot.secret", true}}, Diff(before, after))
	require.Equal(t, after.API, Live(before, after).API)
}
