package scenario

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// keep writes down what was said and measured, for whoever wants to know why.
func (m *meeting) keep() error {
	if m.options.Keep == "" {
		return nil
	}
	dir := filepath.Join(m.options.Keep, m.scenario.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	files := map[string][]byte{}
	if m.host != nil {
		files["host.log"] = []byte(m.host.Output())
	}
	if m.bob != nil {
		files["console.log"] = []byte(strings.Join(m.bob.Console(), "\n"))
	}
	if m.phone != nil {
		files["phone.log"] = []byte(m.phone.Log())
	}
	text, err := json.Marshal(m.result)
	if err != nil {
		return fmt.Errorf("what was measured: %w", err)
	}
	files["measured.json"] = text
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
