package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rendezvous/internal/atomicfile"
	"rendezvous/internal/local"
	"rendezvous/signalling/web/links"
)

// joinSecret is what signs join links where the configuration has no secret of its own: made
// at the first start and kept in the data folder.
func joinSecret(path string) ([]byte, error) {
	secret, err := os.ReadFile(path)
	if err == nil && len(secret) >= 16 {
		return secret, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("secret of join links: %w", err)
	}
	var b [32]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	secret = []byte(hex.EncodeToString(b[:]))
	if err := atomicfile.Write(path, secret, 0o600); err != nil {
		return nil, fmt.Errorf("secret of join links: %w", err)
	}
	return secret, nil
}

// link answers `rendezvous link`: an address that lets its bearer into the room with a role.
func (h *house) link(w http.ResponseWriter, q *http.Request) {
	link, err := h.makeLink(q.PathValue("room"), q.FormValue("role"), q.FormValue("name"), q.FormValue("for"))
	local.Reply(w, link, err)
}

func (h *house) makeLink(room, role, name, life string) (string, error) {
	r, err := h.host.Room(room)
	if err != nil {
		return "", err
	}
	d, err := time.ParseDuration(life)
	if err != nil {
		return "", fmt.Errorf("a link is good for a time such as 24h: %w", err)
	}
	if h.web == nil {
		return "", errNoWeb
	}
	l, err := h.links.Make(links.Link{Room: r.ID(), Role: role, Name: name, By: "command line", Expires: time.Now().Add(d)})
	if err != nil {
		return "", err
	}
	return h.web.LinkURL(l), nil
}

func linkCommand() *cobra.Command {
	var a asker
	var role, name string
	var life time.Duration
	cmd := &cobra.Command{
		Use:   "link ROOM",
		Short: "Make a link that lets its bearer into a room, as moderator unless said otherwise",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var link string
			query := url.Values{"role": {strings.ToLower(role)}, "name": {name}, "for": {life.String()}}
			if err := a.get(cmd, "/rooms/"+url.PathEscape(args[0])+"/link?"+query.Encode(), &link); err != nil {
				return err
			}
			if a.json {
				return writeJSON(cmd.OutOrStdout(), link)
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), link)
			return err
		},
	}
	a.add(cmd)
	cmd.Flags().StringVar(&role, "role", "moderator", "host, moderator, speaker, listener, observer, or guest for what the room gives to everybody")
	cmd.Flags().StringVar(&name, "name", "", "name of the person it is for")
	cmd.Flags().DurationVar(&life, "for", 24*time.Hour, "how long the link is good")
	return cmd
}
