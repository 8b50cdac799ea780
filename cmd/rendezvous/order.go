package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os/user"
	"strings"

	"github.com/spf13/cobra"

	"rendezvous/conference"
	"rendezvous/internal/local"
	"rendezvous/moderation"
)

// order answers `rendezvous order`: a chat command, given by whoever owns the data folder.
func (h *house) order(w http.ResponseWriter, q *http.Request) {
	err := h.give(q.PathValue("room"), q.FormValue("by"), q.FormValue("line"))
	local.Reply(w, true, err)
}

func (h *house) give(room, by, line string) error {
	r, err := h.host.Room(room)
	if err != nil {
		return err
	}
	o, err := r.Info().ParseCommand(line)
	if err != nil {
		return err
	}
	return r.Order(conference.Operator{Name: moderation.CleanName(by), Door: "cli", Role: moderation.Host,
		Elsewhere: func(string) bool { return true }}, o)
}

func orderCommand() *cobra.Command {
	var a asker
	cmd := &cobra.Command{
		Use:   "order ROOM COMMAND [NAME or TEXT]",
		Short: "Give an order in a room, as a host does in its chat",
		Long: "Give an order in a room, as a host does in its chat. The commands, without their slash:\n\n    " +
			strings.ReplaceAll(moderation.CommandHelp(), "\n", "\n    "),
		Example: `  rendezvous order main mute Ben
  rendezvous order main announce "Five minutes left"`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			by := "command line"
			if u, err := user.Current(); err == nil {
				by = u.Username
			}
			query := url.Values{"by": {by}, "line": {"/" + strings.TrimPrefix(strings.Join(args[1:], " "), "/")}}
			var done bool
			if err := a.ask(cmd, local.Post, "/rooms/"+url.PathEscape(args[0])+"/orders?"+query.Encode(), &done); err != nil {
				return err
			}
			if a.json {
				return writeJSON(cmd.OutOrStdout(), done)
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "done")
			return err
		},
	}
	a.add(cmd)
	return cmd
}
