package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// maxSecret bounds a secret's file, bytes.
const maxSecret = 64 << 10

// certificateFiles are settings that name files which systemd may hand over, too.
var certificateFiles = []string{"web.tls.certificate", "web.tls.key", "sip.certificate", "sip.key", "recordings.key_file"}

// readSecrets puts in the place of each secret what stands in the file that is named instead.
func (l *loader) readSecrets() {
	for _, key := range certificateFiles {
		text, ok := l.viper.Get(key).(string)
		if !ok {
			continue // decode says what is wrong
		}
		path, err := credentialPath(text)
		if err != nil {
			l.bad[key] = true
			l.at(key, fmt.Sprintf("%s: %v", key, err))
		}
		if path != text {
			l.viper.Set(key, path)
		}
	}
	for _, key := range sortedKeys(l.defaults) {
		secret, ok := strings.CutSuffix(key, fileSuffix)
		setting := l.schema.keys[l.schema.pattern(secret)]
		if !ok || !setting.Secret {
			continue
		}
		if err := l.readSecret(secret, setting.typ.Kind() == reflect.Slice); err != nil {
			l.bad[secret], l.bad[key] = true, true
			l.at(key, fmt.Sprintf("%s: %v", key, err))
		}
	}
}

// readSecret reads one; a list has one on each line.
func (l *loader) readSecret(secret string, isList bool) error {
	value := l.viper.Get(secret + fileSuffix)
	path, ok := value.(string)
	switch {
	case !ok:
		return fmt.Errorf("wants text (in quotes), not %s", describe(value))
	case path == "":
		return nil
	case l.isSet(secret):
		return fmt.Errorf("%s is set too; choose one", secret)
	}
	path, err := credentialPath(path)
	if err != nil {
		return err
	}
	text, err := ReadSecret(path)
	if err != nil {
		return err
	}
	l.read[secret] = true
	if isList {
		l.viper.Set(secret, strings.Fields(text))
	} else {
		l.viper.Set(secret, text)
	}
	return nil
}

// isSet tells whether a setting has a value that is not empty.
func (l *loader) isSet(key string) bool {
	value := reflect.ValueOf(l.viper.Get(key))
	switch value.Kind() {
	case reflect.String, reflect.Slice:
		return value.Len() > 0
	}
	return value.IsValid()
}

// credentialPath is the file of a credential that systemd has handed over, where text is "credential:NAME"; other text is
// a path already. The error says what is missing.
func credentialPath(text string) (string, error) {
	name, ok := strings.CutPrefix(text, "credential:")
	if !ok {
		return text, nil
	}
	if name == "" || !filepath.IsLocal(name) || strings.ContainsRune(name, '/') {
		return text, fmt.Errorf("%q is no name of a credential", name)
	}
	folder := os.Getenv("CREDENTIALS_DIRECTORY")
	if folder == "" {
		return text, fmt.Errorf("wants to be started by systemd with LoadCredential=%s:FILE; $CREDENTIALS_DIRECTORY is not set", name)
	}
	return filepath.Join(folder, name), nil
}

// ReadSecret reads a file that holds a secret, without the line end. It must be a regular file, not larger than 64 KiB,
// that not everybody can read and nobody but its owner can change: what others know is no secret.
func ReadSecret(path string) (string, error) {
	info, err := os.Stat(path) // a pipe must not be opened: that waits
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no file", path)
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return "", fmt.Errorf("%s can be read by everybody or changed by others (mode %04o); make it 0600", path, mode)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	if len(text) > maxSecret {
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxSecret)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return "", errors.New(path + " is empty")
	}
	return secret, nil
}
