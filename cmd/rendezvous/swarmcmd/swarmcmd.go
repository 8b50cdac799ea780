// Package swarmcmd has the commands that read conversations in a data folder:
// their log, a check of all their rules, and an export. They need no running
// host, and change nothing.
package swarmcmd

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// Command is "swarm" with its subcommands. data returns the data folder when a
// command runs. ROOM|PATH is a room, whose conversations are in
// data/jami/ROOM/conversations, or the path of a repository. Of a room with several the log
// and the export are of its own, which data/jami/ROOM/conversation.json names; the
// others are named and can be had by their path. verify checks all of them.
func Command(data func() (string, error)) *cobra.Command {
	c := &cobra.Command{Use: "swarm", Short: "Read the rooms' conversations: log, verify, export"}
	var count int
	log := &cobra.Command{
		Use: "log ROOM|PATH", Short: "Show the history, newest first", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return own(cmd.ErrOrStderr(), data, args[0], func(r *repo.Repository, several bool) error {
				return showLog(cmd.OutOrStdout(), r, count, several)
			})
		},
	}
	log.Flags().IntVarP(&count, "number", "n", 0, "show only the newest; 0 is all")
	verify := &cobra.Command{
		Use: "verify ROOM|PATH", Short: "Check signatures, authors and every rule of the whole history", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return each(data, args[0], func(r *repo.Repository, _ bool) error {
				n, err := r.Verify()
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d commits, all valid; head %s\n", r.ID(), n, r.Head())
				return err
			})
		},
	}
	var out string
	export := &cobra.Command{
		Use: "export ROOM|PATH", Short: "Write the history as JSON lines, oldest first", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w := cmd.OutOrStdout()
			if out != "" {
				f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
				if err != nil {
					return fmt.Errorf("export: %w", err)
				}
				defer f.Close()
				w = f
			}
			return own(cmd.ErrOrStderr(), data, args[0], func(r *repo.Repository, _ bool) error { return exportTo(w, r) })
		},
	}
	export.Flags().StringVarP(&out, "output", "o", "", "a new file to write to, instead of the standard output")
	c.AddCommand(log, verify, export)
	return c
}

var id = regexp.MustCompile(`^[0-9a-f]{40}$`)

// each opens the repositories that an argument means, one after the other.
func each(data func() (string, error), arg string, f func(r *repo.Repository, several bool) error) error {
	paths, err := find(data, arg)
	if err != nil {
		return err
	}
	return open(paths, f)
}

// own is each for the room's own conversation alone, if it is known which that is. The others are
// named on w.
func own(w io.Writer, data func() (string, error), arg string, f func(r *repo.Repository, several bool) error) error {
	paths, err := find(data, arg)
	if err != nil {
		return err
	}
	var state struct{ Conversation string }
	text, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(paths[0])), "conversation.json"))
	if err == nil {
		err = json.Unmarshal(text, &state)
	}
	i := slices.IndexFunc(paths, func(p string) bool { return filepath.Base(p) == state.Conversation })
	if err != nil || i < 0 {
		return open(paths, f)
	}
	for n, p := range paths {
		if n != i {
			fmt.Fprintf(w, "The room is also in the conversation %s\n", p)
		}
	}
	return open(paths[i:i+1], f)
}

func open(paths []string, f func(r *repo.Repository, several bool) error) error {
	var errs []error
	for _, p := range paths {
		r, err := repo.Open(p, repo.Author{}, time.Now)
		if err == nil {
			err = errors.Join(f(r, len(paths) > 1), r.Close())
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p, err))
		}
	}
	return errors.Join(errs...)
}

func find(data func() (string, error), arg string) ([]string, error) {
	for _, p := range []string{arg, filepath.Join(arg, ".git")} { // daemons keep a work tree
		if _, err := os.Stat(filepath.Join(p, "objects")); err == nil {
			return []string{p}, nil
		}
	}
	folder := arg
	if filepath.Base(arg) == arg {
		dir, err := data()
		if err != nil {
			return nil, err
		}
		folder = filepath.Join(dir, "jami", arg, "conversations")
	}
	list, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("%q is neither a room with conversations nor a repository: %w", arg, err)
	}
	var out []string
	for _, e := range list {
		if id.MatchString(e.Name()) {
			out = append(out, filepath.Join(folder, e.Name()))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has no conversations", arg)
	}
	return out, nil
}

func showLog(w io.Writer, r *repo.Repository, count int, several bool) error {
	entries, err := r.Log(count)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(w)
	if p := r.Profile(); several || p.Title != "" {
		fmt.Fprintf(b, "conversation %s (%s) %s\n", r.ID(), r.Mode(), p.Title)
	}
	for _, e := range entries {
		fmt.Fprintf(b, "%s %s %-16q %s\n", e.ID.String()[:12], e.Time.Format(time.RFC3339), e.Name, say(e))
	}
	return b.Flush()
}

// say puts a message into words. What others wrote is quoted: it may hold
// anything, also codes for the terminal.
func say(e repo.Entry) string {
	m := e.Message
	switch {
	case m.Type == commit.TypeInitial:
		return "begins the conversation, " + m.Mode.String()
	case m.Type == commit.TypeMember:
		return fmt.Sprintf("%s %q", m.Get("action"), m.Get("uri"))
	case m.Type == commit.TypeVote:
		return fmt.Sprintf("votes about %q", m.Get("uri"))
	case m.Type == commit.TypeFile:
		return fmt.Sprintf("file %q, %s bytes", m.Get("displayName"), number(m.Get("totalSize")))
	case m.Type == commit.TypeCall && m.Get("duration") != "":
		text := fmt.Sprintf("call ended after %s ms", number(m.Get("duration")))
		if there := m.Get("attendees"); there != "" { // our own addition
			text += fmt.Sprintf("; there were %q", there)
		}
		return text
	case m.Type == commit.TypeCall:
		return "call began"
	case m.Type == commit.TypeUpdateProfile:
		return "changes the profile"
	case m.Type == commit.TypeMerge:
		return "merges " + e.Parents[1].String()[:12]
	case m.Get("react-to") != "":
		return fmt.Sprintf("reacts with %q to %.12q", m.Get("body"), m.Get("react-to"))
	case m.Get("edit") != "":
		return fmt.Sprintf("edits %.12q: %q", m.Get("edit"), m.Get("body"))
	case m.Type == commit.TypeText:
		return fmt.Sprintf("%q", m.Get("body"))
	}
	return fmt.Sprintf("%q", e.Text)
}

// line is an entry as it is exported.
type line struct {
	ID      string          `json:"id"`
	Parents []string        `json:"parents"`
	Account string          `json:"account"`
	Device  string          `json:"device"`
	Name    string          `json:"name"`
	Time    time.Time       `json:"time"`
	Message json.RawMessage `json:"message,omitempty"` // as it stands in the commit
	Text    string          `json:"text,omitempty"`    // of a merge
}

func exportTo(w io.Writer, r *repo.Repository) error {
	b := bufio.NewWriter(w)
	enc := json.NewEncoder(b)
	ids := r.Linearised()
	slices.Reverse(ids)
	for _, id := range ids {
		e, err := r.Entry(id)
		if err != nil {
			return err
		}
		l := line{ID: e.ID.String(), Parents: []string{}, Account: e.Account.String(), Device: e.Device.String(), Name: e.Name, Time: e.Time}
		for _, p := range e.Parents {
			l.Parents = append(l.Parents, p.String())
		}
		if json.Valid([]byte(e.Text)) {
			l.Message = json.RawMessage(e.Text)
		} else {
			l.Text = e.Text
		}
		if err := enc.Encode(l); err != nil {
			return fmt.Errorf("export: %w", err)
		}
	}
	return b.Flush()
}

// number is what others wrote where a number belongs, quoted if it is none.
func number(s string) string {
	if _, err := strconv.ParseUint(s, 10, 64); err != nil {
		return strconv.Quote(s)
	}
	return s
}
