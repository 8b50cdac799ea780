package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// isRunning tells whether a host holds the lock of the data folder. The error is why that cannot be told.
func (p *patient) isRunning() (bool, error) {
	lock, err := os.Open(filepath.Join(p.Config.Data, "lock"))
	switch {
	case errors.Is(err, os.ErrPermission):
		return false, err
	case err != nil:
		return false, nil
	}
	defer lock.Close() // and with it the lock, if we got it
	return syscall.Flock(int(lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == syscall.EWOULDBLOCK, nil
}

// healthLimit bounds what is read of /healthz.
const healthLimit = 64 << 10

// host asks the host that runs, if one does, how it is.
func (p *patient) host(ctx context.Context) []Finding {
	if p.hidden != nil {
		return []Finding{doubt(p.service(), "whether a host runs cannot be told: %v", p.hidden)}
	}
	if !p.running {
		return []Finding{good("no host runs in %s; its ports are tried here", p.Config.Data)}
	}
	const look = "read its log: journalctl -u rendezvous"
	ctx, cancel := context.WithTimeout(ctx, p.Wait)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Config.Admin.Listen+"/healthz", nil)
	if err != nil {
		return []Finding{fault("correct admin.listen", "%v", err)}
	}
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		return []Finding{fault(look, "a host runs in %s, but does not say how it is: %v", p.Config.Data, err)}
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, healthLimit))
	if err != nil {
		return []Finding{fault(look, "asking the host how it is: %v", err)}
	}
	lines := strings.Split(strings.TrimSpace(string(body)), "\n")
	if answer.StatusCode != http.StatusOK {
		return []Finding{fault(look, "the host is not well: %s", lines[0])}
	}
	if lines[0] == "ok" {
		return []Finding{good("a host runs in %s and is well", p.Config.Data)}
	}
	var out []Finding
	for _, l := range lines[min(1, len(lines)-1):] {
		out = append(out, fault("docs/operations.md, When something is wrong", "the host is degraded: %s", l))
	}
	return out
}

// service is whose account the data folder is, for the advice to run as it.
func (p *patient) service() string {
	return fmt.Sprintf("run this as the account of the service: sudo -u rendezvous rendezvous doctor, or make %s readable", p.Config.Data)
}
