package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rendezvous/internal/local"
	"rendezvous/signalling/jami"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/web/control"
)

// contacts shows what the rooms' Jami accounts know of others on the page, in the control API
// and on the command line. It is a control.Contacts.
type contacts struct{ house *house }

var errNoJami = fmt.Errorf("the Jami door is switched off: %w", control.ErrNotFound)

// found makes errors about what is not there such as the control API knows.
func found(err error) error {
	for _, missing := range []error{jami.ErrNoAccount, account.ErrNoRequest, account.ErrNoContact} {
		if errors.Is(err, missing) {
			return fmt.Errorf("%w (%w)", err, control.ErrNotFound)
		}
	}
	return err
}

// List implements control.Contacts.
func (c contacts) List(room string) ([]control.Contact, error) {
	if c.house.jami == nil {
		return nil, errNoJami
	}
	list, err := c.house.jami.Contacts(room)
	out := []control.Contact{}
	for _, a := range list {
		out = append(out, control.Contact{ID: a.Account.String(), Added: a.Added, Asked: a.Asked && !a.Confirmed, Confirmed: a.Confirmed, Banned: a.Banned})
	}
	return out, found(err)
}

// Requests implements control.Contacts.
func (c contacts) Requests(room string) ([]control.ContactRequest, error) {
	if c.house.jami == nil {
		return nil, errNoJami
	}
	list, err := c.house.jami.ContactRequests(room)
	out := []control.ContactRequest{}
	for _, r := range list {
		out = append(out, control.ContactRequest{ID: r.ID, Name: r.Name, Received: r.Received})
	}
	return out, found(err)
}

// Accept implements control.Contacts.
func (c contacts) Accept(room, id string) error { return c.do((*jami.Door).AcceptContact, room, id) }

// Discard implements control.Contacts.
func (c contacts) Discard(room, id string) error { return c.do((*jami.Door).DiscardContact, room, id) }

// Add implements control.Contacts.
func (c contacts) Add(room, id string) error { return c.do((*jami.Door).AddContact, room, id) }

// Ban implements control.Contacts.
func (c contacts) Ban(room, id string) error { return c.do((*jami.Door).BanContact, room, id) }

// Remove implements control.Contacts.
func (c contacts) Remove(room, id string) error { return c.do((*jami.Door).RemoveContact, room, id) }

func (c contacts) do(decide func(d *jami.Door, room, id string) error, room, id string) error {
	if c.house.jami == nil {
		return errNoJami
	}
	return found(decide(c.house.jami, room, id))
}

// contactOrders are what `rendezvous contact` can do.
var contactOrders = []struct {
	name, short string
	do          func(c contacts, room, id string) error
}{
	{"accept", "Make an account that asked a contact of a room", contacts.Accept},
	{"discard", "Forget an account's request to be a contact", contacts.Discard},
	{"add", "Make an account a contact of a room, unbanning it, and ask it to agree", contacts.Add},
	{"ban", "Refuse an account everything, and end its calls", contacts.Ban},
	{"remove", "Forget a contact, or a ban", contacts.Remove},
}

// contactRoutes answer the commands below.
func (h *house) contactRoutes(mux *http.ServeMux) {
	c := contacts{h}
	mux.HandleFunc("GET /rooms/{room}/contacts", func(w http.ResponseWriter, q *http.Request) {
		list, err := c.List(q.PathValue("room"))
		local.Reply(w, list, err)
	})
	mux.HandleFunc("GET /rooms/{room}/contact-requests", func(w http.ResponseWriter, q *http.Request) {
		list, err := c.Requests(q.PathValue("room"))
		local.Reply(w, list, err)
	})
	for _, o := range contactOrders {
		mux.HandleFunc("POST /rooms/{room}/contacts/{id}/"+o.name, func(w http.ResponseWriter, q *http.Request) {
			room, id := q.PathValue("room"), q.PathValue("id")
			err := o.do(c, room, id)
			if err == nil {
				h.log.Info("contact decided", "room", room, "account", id, "decision", o.name, "door", "cli")
			}
			local.Reply(w, struct{}{}, err)
		})
	}
}

func contactsCommand() *cobra.Command {
	var a asker
	cmd := &cobra.Command{
		Use:   "contacts ROOM",
		Short: "List the Jami accounts that a room knows",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var list []control.Contact
			if err := a.get(cmd, "/rooms/"+url.PathEscape(args[0])+"/contacts", &list); err != nil {
				return err
			}
			if a.json {
				return writeJSON(cmd.OutOrStdout(), list)
			}
			rows := [][]string{{"ACCOUNT", "SINCE", "STATE"}}
			for _, c := range list {
				state, since := "added", c.Added.Local().Format(time.DateTime)
				switch {
				case c.Banned:
					state = "banned"
				case c.Confirmed:
					state = "confirmed"
				case c.Asked:
					state = "asked"
				}
				if c.Added.IsZero() { // banned without having been a contact
					since = "-"
				}
				rows = append(rows, []string{c.ID, since, state})
			}
			return table(cmd, rows)
		},
	}
	a.add(cmd)
	return cmd
}

func requestsCommand() *cobra.Command {
	var a asker
	cmd := &cobra.Command{
		Use:   "requests ROOM",
		Short: "List the Jami accounts that ask to be contacts of a room",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var list []control.ContactRequest
			if err := a.get(cmd, "/rooms/"+url.PathEscape(args[0])+"/contact-requests", &list); err != nil {
				return err
			}
			if a.json {
				return writeJSON(cmd.OutOrStdout(), list)
			}
			rows := [][]string{{"ACCOUNT", "NAME", "RECEIVED"}}
			for _, r := range list {
				rows = append(rows, []string{r.ID, r.Name, r.Received.Local().Format(time.DateTime)})
			}
			return table(cmd, rows)
		},
	}
	a.add(cmd)
	return cmd
}

func contactCommand() *cobra.Command {
	root := &cobra.Command{Use: "contact", Short: "Accept, add, ban or remove a Jami account"}
	for _, o := range contactOrders {
		var a asker
		cmd := &cobra.Command{
			Use:   o.name + " ROOM ACCOUNT",
			Short: o.short,
			Args:  cobra.ExactArgs(2),
			RunE: func(cmd *cobra.Command, args []string) error {
				id := strings.TrimPrefix(args[1], "jami:")
				var done struct{}
				return a.ask(cmd, local.Post, "/rooms/"+url.PathEscape(args[0])+"/contacts/"+url.PathEscape(id)+"/"+o.name, &done)
			},
		}
		a.addFolder(cmd)
		root.AddCommand(cmd)
	}
	return root
}
