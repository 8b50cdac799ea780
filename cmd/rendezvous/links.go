package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"rendezvous/internal/local"
	"rendezvous/signalling/web/links"
)

// linkRoutes answer `rendezvous link` and `rendezvous links`.
func (h *house) linkRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /rooms/{room}/link", h.link)
	mux.HandleFunc("GET /rooms/{room}/links", func(w http.ResponseWriter, q *http.Request) {
		list, err := h.listLinks(q.PathValue("room"))
		local.Reply(w, list, err)
	})
	mux.HandleFunc("POST /rooms/{room}/links/{id}/revoke", func(w http.ResponseWriter, q *http.Request) {
		err := errNoWeb
		if h.web != nil {
			err = h.links.Revoke(q.PathValue("room"), q.PathValue("id"))
		}
		local.Reply(w, true, err)
	})
}

var errNoWeb = errors.New("the web door is switched off")

func (h *house) listLinks(room string) ([]links.Link, error) {
	if _, err := h.host.Room(room); err != nil {
		return nil, err
	}
	if h.web == nil {
		return nil, errNoWeb
	}
	return h.links.List(room), nil
}

func linksCommand() *cobra.Command {
	var a asker
	cmd := &cobra.Command{
		Use:   "links ROOM",
		Short: "List the links that let people into a room",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var list []links.Link
			if err := a.get(cmd, "/rooms/"+url.PathEscape(args[0])+"/links", &list); err != nil {
				return err
			}
			if a.json {
				return writeJSON(cmd.OutOrStdout(), list)
			}
			rows := [][]string{{"LINK", "ROLE", "FOR", "BY", "UNTIL"}}
			for _, l := range list {
				rows = append(rows, []string{l.ID, l.Role, l.Name, l.By, l.Expires.Local().Format(time.DateTime)})
			}
			return table(cmd, rows)
		},
	}
	a.add(cmd)
	cmd.AddCommand(revokeCommand())
	return cmd
}

func revokeCommand() *cobra.Command {
	var a asker
	cmd := &cobra.Command{
		Use:   "revoke ROOM LINK",
		Short: "Let nobody in by a link any more; who is in the room stays there",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var done bool
			path := "/rooms/" + url.PathEscape(args[0]) + "/links/" + url.PathEscape(args[1]) + "/revoke"
			if err := a.ask(cmd, local.Post, path, &done); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "revoked")
			return err
		},
	}
	a.addFolder(cmd)
	return cmd
}
