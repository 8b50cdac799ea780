// Package sdnotify tells systemd what the program is doing (sd_notify(3)), where
// systemd has asked for it.
package sdnotify

import (
	"fmt"
	"net"
	"os"
)

// The states.
const (
	Ready     = "READY=1"
	Reloading = "RELOADING=1"
	Stopping  = "STOPPING=1"
)

// Send tells a state (sd_notify(3)). Without systemd it does nothing; it fails if the
// socket that systemd named does not take it.
func Send(state string) error {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil
	}
	conn, err := net.Dial("unixgram", socket)
	if err != nil {
		return fmt.Errorf("telling systemd: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("telling systemd: %w", err)
	}
	return nil
}
