package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rendezvous/internal/local"
	"rendezvous/recordings"
)

// repairRoutes are what repairCommand asks.
func (h *house) repairRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /recordings/repair", func(w http.ResponseWriter, q *http.Request) {
		list, err := h.library.Repair(q.URL.Query()["id"]...)
		local.Reply(w, list, err)
	})
	mux.HandleFunc("GET /recordings/{id}", func(w http.ResponseWriter, q *http.Request) {
		e, err := h.library.Get(q.PathValue("id"))
		local.Reply(w, e, err)
	})
}

// askAgain is how often a repair is looked at.
const askAgain = 200 * time.Millisecond

// repairCommand has the running host look once more at recordings that cannot be played.
func repairCommand() *cobra.Command {
	var a asker
	cmd := &cobra.Command{
		Use:   "repair [RECORDING...]",
		Short: "Make damaged recordings playable again as far as they can be; without one named, all that the host knows of",
		RunE: func(cmd *cobra.Command, args []string) error {
			var list []recordings.Entry
			if err := a.ask(cmd, local.Post, "/recordings/repair?"+url.Values{"id": args}.Encode(), &list); err != nil {
				return err
			}
			if len(list) == 0 {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "no recording is damaged")
				return err
			}
			var hopeless []string
			for _, e := range list {
				e, err := a.repaired(cmd, e.ID)
				if err != nil {
					return fmt.Errorf("recording %s: %w", e.ID, err)
				}
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s of %s: %s\n", e.Room, e.ID, length(e), condition(e)); err != nil {
					return err
				}
				if e.State == recordings.Damaged || e.State == recordings.Failed && e.Ended.IsZero() {
					hopeless = append(hopeless, e.ID)
				}
			}
			if len(hopeless) > 0 {
				return fmt.Errorf("not repaired, and left as they are: %s", strings.Join(hopeless, ", "))
			}
			return nil
		},
	}
	a.addFolder(cmd)
	return cmd
}

// repaired waits for the end of a repair, which the host goes on with even if nobody waits.
func (a *asker) repaired(cmd *cobra.Command, id string) (e recordings.Entry, err error) {
	for {
		e = recordings.Entry{ID: id}
		if err := a.get(cmd, "/recordings/"+url.PathEscape(id), &e); err != nil || e.State != recordings.Recovering {
			return e, err
		}
		select {
		case <-cmd.Context().Done():
			return e, cmd.Context().Err()
		case <-time.After(askAgain):
		}
	}
}

// length is how much of a recording can be played.
func length(e recordings.Entry) time.Duration {
	return time.Duration(e.Duration * float64(time.Second)).Round(time.Second)
}

// condition is the state of a recording, and why it is so.
func condition(e recordings.Entry) string {
	if e.Error == "" {
		return string(e.State)
	}
	return string(e.State) + ": " + e.Error
}
