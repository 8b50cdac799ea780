package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"rendezvous/conference"
	"rendezvous/internal/config"
	"rendezvous/internal/datadir"
	"rendezvous/internal/local"
	"rendezvous/recordings"
)

// roomView is a room as `rendezvous rooms` shows it.
type roomView struct {
	ID           string                   `json:"id"`
	Title        string                   `json:"title"`
	Addresses    map[string]string        `json:"addresses"`         // by door: the first
	Pending      []string                 `json:"pending,omitempty"` // doors that will have an address of it before long
	Recording    string                   `json:"recording"`
	Locked       bool                     `json:"locked"`
	Lobby        bool                     `json:"lobby"`
	NeedsPIN     bool                     `json:"needsPin"`
	Degraded     string                   `json:"trouble,omitempty"` // what of the room does not work, and why
	Participants []conference.Participant `json:"participants"`
}

// routes are what the running host answers to the command line.
func (h *house) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /rooms", func(w http.ResponseWriter, _ *http.Request) {
		out := []roomView{}
		for _, r := range h.host.Rooms() {
			out = append(out, h.view(r))
		}
		local.Reply(w, out, nil)
	})
	mux.HandleFunc("GET /rooms/{room}/participants", func(w http.ResponseWriter, q *http.Request) {
		r, err := h.host.Room(q.PathValue("room"))
		if err != nil {
			local.Reply(w, nil, err)
			return
		}
		local.Reply(w, h.view(r).Participants, nil)
	})
	mux.HandleFunc("GET /rooms/{room}/recordings", func(w http.ResponseWriter, q *http.Request) {
		room := q.PathValue("room")
		list := h.library.List(room)
		// Recordings outlive their rooms.
		if _, err := h.host.Room(room); err != nil && len(list) == 0 {
			local.Reply(w, nil, err)
			return
		}
		local.Reply(w, list, nil)
	})
	h.repairRoutes(mux)
	h.contactRoutes(mux)
	h.linkRoutes(mux)
	mux.HandleFunc("GET /rooms/{room}/audit", h.orders)
	mux.HandleFunc("POST /rooms/{room}/orders", h.order)
	return mux
}

func (h *house) view(r *conference.Room) roomView {
	info := r.Info()
	v := roomView{
		ID: r.ID(), Title: r.Title(), Addresses: map[string]string{},
		Recording: string(info.Recording), Locked: info.Locked, Lobby: info.Lobby, NeedsPIN: r.NeedsPIN(),
		Participants: info.Participants,
	}
	if v.Participants == nil {
		v.Participants = []conference.Participant{}
	}
	for _, d := range h.doors {
		if a := d.Addresses(r.ID()); len(a) > 0 {
			v.Addresses[d.Name()] = a[0]
		}
	}
	if h.jami != nil {
		v.Degraded = h.jami.Degraded()[r.ID()]
		if h.jami.BeingMade(r.ID()) {
			v.Pending = append(v.Pending, h.jami.Name())
		}
	}
	return v
}

// asker is a command that asks the running host.
type asker struct {
	data, file string
	json       bool
}

func (a *asker) add(cmd *cobra.Command) {
	a.addFolder(cmd)
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
}

// addFolder adds the flags that say which host is meant.
func (a *asker) addFolder(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.data, "data", "", "data folder of the host (default: the configuration's)")
	cmd.Flags().StringVarP(&a.file, "config", "c", "", configUsage)
}

// socket finds the running host.
func (a *asker) socket() (string, error) {
	if err := a.find(); err != nil {
		return "", err
	}
	abs, err := filepath.Abs(a.data)
	return filepath.Join(abs, datadir.SocketName), err
}

// find completes what flags have said of the data folder and the configuration.
func (a *asker) find() (err error) {
	switch {
	case a.file == "":
		var found site
		if found, err = standardPlaces().find(); a.data != "" {
			err = nil // the folder is known, and the file for titles alone
		} else {
			a.data = found.data
		}
		a.file = found.file
	case a.data == "":
		if a.data, err = config.DataFolder(a.file); err == nil {
			a.data = standardPlaces().resolve(a.file, a.data)
		}
	}
	return err
}

func (a *asker) get(cmd *cobra.Command, resource string, v any) error {
	return a.ask(cmd, local.Get, resource, v)
}

func (a *asker) ask(cmd *cobra.Command, how func(ctx context.Context, path, resource string, v any) error, resource string, v any) error {
	path, err := a.socket()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), 10*time.Second)
	defer cancel()
	return how(ctx, path, resource, v)
}

// table prints rows in columns; the first is the head.
func table(cmd *cobra.Command, rows [][]string) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

func roomsCommand() *cobra.Command {
	var a asker
	cmd := &cobra.Command{
		Use:   "rooms",
		Short: "List the rooms of the running host",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var rooms []roomView
			if err := a.get(cmd, "/rooms", &rooms); err != nil {
				return err
			}
			if a.json {
				return writeJSON(cmd.OutOrStdout(), rooms)
			}
			rows := [][]string{{"ROOM", "TITLE", "PRESENT", "RECORDING", "ADDRESSES"}}
			for _, r := range rooms {
				var addresses []string
				for _, address := range r.Addresses {
					addresses = append(addresses, address)
				}
				sort.Strings(addresses)
				for _, door := range r.Pending {
					addresses = append(addresses, door+":(being made)")
				}
				rows = append(rows, []string{r.ID, r.Title, fmt.Sprint(len(r.Participants)), r.Recording, strings.Join(addresses, " ")})
			}
			err := table(cmd, rows)
			for _, r := range rooms {
				if r.Degraded != "" {
					fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", r.ID, r.Degraded)
				}
			}
			return err
		},
	}
	a.add(cmd)
	return cmd
}

func participantsCommand() *cobra.Command {
	var a asker
	cmd := &cobra.Command{
		Use:   "participants ROOM",
		Short: "List who is in a room of the running host",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var people []conference.Participant
			if err := a.get(cmd, "/rooms/"+url.PathEscape(args[0])+"/participants", &people); err != nil {
				return err
			}
			if a.json {
				return writeJSON(cmd.OutOrStdout(), people)
			}
			rows := [][]string{{"ID", "NAME", "ROLE", "CONNECTION", "STATE", "SINCE"}}
			for _, p := range people {
				rows = append(rows, []string{p.ID, p.Name, p.Role.String(), p.Connection, state(p), p.Joined.Local().Format(time.DateTime)})
			}
			return table(cmd, rows)
		},
	}
	a.add(cmd)
	return cmd
}

// state is what a participant is doing, in a word or two.
func state(p conference.Participant) string {
	switch {
	case p.Waiting:
		return "in the lobby"
	case p.Muted:
		return "muted by a moderator"
	case p.SelfMuted:
		return "muted"
	case p.Talking:
		return "talking"
	}
	return "listening"
}

func recordingsCommand() *cobra.Command {
	var a asker
	cmd := &cobra.Command{
		Use:   "recordings ROOM",
		Short: "List the recordings of a room",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var list []recordings.Entry
			if err := a.get(cmd, "/rooms/"+url.PathEscape(args[0])+"/recordings", &list); err != nil {
				return err
			}
			if a.json {
				return writeJSON(cmd.OutOrStdout(), list)
			}
			rows := [][]string{{"RECORDING", "STARTED", "LENGTH", "SIZE", "PEOPLE", "STATE"}}
			for _, e := range list {
				rows = append(rows, []string{
					e.ID, e.Started.Local().Format(time.DateTime), length(e).String(),
					fmt.Sprintf("%.1f MB", float64(e.Size)/1e6), fmt.Sprint(e.People), condition(e),
				})
			}
			return table(cmd, rows)
		},
	}
	a.add(cmd)
	cmd.AddCommand(exportCommand(), repairCommand())
	return cmd
}
