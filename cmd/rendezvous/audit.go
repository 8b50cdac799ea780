package main

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"rendezvous/conference/audit"
	"rendezvous/internal/local"
)

// orders answers `rendezvous audit`: what was ordered in a room, the newest last.
func (h *house) orders(w http.ResponseWriter, q *http.Request) {
	r, err := h.host.Room(q.PathValue("room"))
	if err != nil {
		local.Reply(w, nil, err)
		return
	}
	n, err := strconv.Atoi(q.FormValue("n"))
	if err != nil || n < 0 {
		n = 0
	}
	entries := r.Audit(n)
	if entries == nil {
		entries = []audit.Entry{}
	}
	local.Reply(w, entries, nil)
}

func auditCommand() *cobra.Command {
	var a asker
	var n int
	cmd := &cobra.Command{
		Use:   "audit ROOM",
		Short: "List what was ordered in a room, by whom, and what became of it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var entries []audit.Entry
			if err := a.get(cmd, "/rooms/"+url.PathEscape(args[0])+"/audit?n="+strconv.Itoa(n), &entries); err != nil {
				return err
			}
			if a.json {
				return writeJSON(cmd.OutOrStdout(), entries)
			}
			rows := [][]string{{"TIME", "WHO", "ROLE", "THROUGH", "ORDER", "ABOUT", "RESULT"}}
			for _, e := range entries {
				result := string(e.Result)
				if e.Reason != "" {
					result += ": " + e.Reason
				}
				rows = append(rows, []string{e.Time.Local().Format(time.DateTime), e.Name, e.Role, e.Door, e.Order.String(), e.TargetName, result})
			}
			return table(cmd, rows)
		},
	}
	a.add(cmd)
	cmd.Flags().IntVarP(&n, "lines", "n", 0, "only the newest so many")
	return cmd
}
