// Package dhtcmd is the "dht" command: what people who debug ask of the DHT.
package dhtcmd

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"rendezvous/dht"
	"rendezvous/dht/value"
)

// DefaultBootstrap is where Jami's network is joined.
const DefaultBootstrap = "bootstrap.jami.net:4222"

// options are the flags all subcommands share.
type options struct {
	bootstrap []string
	network   uint32
	wait      time.Duration
	json      bool
}

// Command returns the dht command with its subcommands.
func Command() *cobra.Command {
	o := &options{}
	root := &cobra.Command{
		Use:   "dht",
		Short: "Ask the distributed hash table",
		Long: "Joins the DHT with a node of its own, which does nothing for others, and asks.\n\n" +
			"A KEY is 40 hex digits, or a text, whose SHA-1 is the key.",
	}
	flags := root.PersistentFlags()
	flags.StringSliceVar(&o.bootstrap, "bootstrap", []string{DefaultBootstrap}, "join through the node at `HOST:PORT`; may be given more than once")
	flags.Uint32Var(&o.network, "network", 0, "number of the network; Jami's is 0")
	flags.DurationVar(&o.wait, "wait", 20*time.Second, "how long to wait for the network")
	flags.BoolVar(&o.json, "json", false, "print one JSON object per line")
	root.AddCommand(o.get(), o.put(), o.listen(), o.nodes(), o.stats())
	return root
}

// parseKey reads a KEY argument.
func parseKey(text string) dht.Key {
	if k, err := dht.ParseKey(text); err == nil {
		return k
	}
	return dht.KeyOfText(text)
}

// join starts a node and waits until it is connected.
func (o *options) join(ctx context.Context) (*dht.Node, error) {
	n, err := dht.New(dht.Config{IPv4: "0.0.0.0:0", IPv6: "[::]:0", Network: o.network, Bootstrap: o.bootstrap, Client: true})
	if err != nil {
		return nil, err
	}
	if err := n.Start(ctx); err != nil {
		return nil, err
	}
	wait, cancel := context.WithTimeout(ctx, o.wait)
	defer cancel()
	if err := n.WaitConnected(wait); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot join through %v: %w", o.bootstrap, err), n.Close())
	}
	return n, nil
}

// with runs do with a joined node.
func (o *options) with(do func(cmd *cobra.Command, args []string, n *dht.Node) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cmd.SilenceUsage = true
		n, err := o.join(cmd.Context())
		if err != nil {
			return err
		}
		return errors.Join(do(cmd, args, n), n.Close())
	}
}

func (o *options) get() *cobra.Command {
	return &cobra.Command{
		Use: "get KEY", Short: "Print the values at a key", Args: cobra.ExactArgs(1),
		RunE: o.with(func(cmd *cobra.Command, args []string, n *dht.Node) error {
			for v, err := range n.Get(cmd.Context(), parseKey(args[0])) {
				if err != nil {
					return err
				}
				if err := o.print(cmd.OutOrStdout(), describe(v)); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

func (o *options) put() *cobra.Command {
	return &cobra.Command{
		Use: "put KEY VALUE", Short: "Put a text at a key; it lives for ten minutes", Args: cobra.ExactArgs(2),
		RunE: o.with(func(cmd *cobra.Command, args []string, n *dht.Node) error {
			v := &dht.Value{Data: []byte(args[1]), UserType: "text/plain"}
			if err := n.Put(cmd.Context(), parseKey(args[0]), v); err != nil {
				return err
			}
			return o.print(cmd.OutOrStdout(), describe(v))
		}),
	}
}

func (o *options) listen() *cobra.Command {
	return &cobra.Command{
		Use: "listen KEY", Short: "Print the values at a key as they come and expire, until interrupted", Args: cobra.ExactArgs(1),
		RunE: o.with(func(cmd *cobra.Command, args []string, n *dht.Node) error {
			events, err := n.Listen(cmd.Context(), parseKey(args[0]))
			if err != nil {
				return err
			}
			for ev := range events {
				d := describe(ev.Value)
				d.Expired = ev.Expired
				if err := o.print(cmd.OutOrStdout(), d); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

func (o *options) nodes() *cobra.Command {
	return &cobra.Command{
		Use: "nodes", Short: "Print the nodes known after joining", Args: cobra.NoArgs,
		RunE: o.with(func(cmd *cobra.Command, _ []string, n *dht.Node) error {
			if err := settle(cmd.Context(), n); err != nil {
				return err
			}
			nodes, err := n.Nodes(cmd.Context())
			if err != nil {
				return err
			}
			for _, info := range nodes {
				if err := o.print(cmd.OutOrStdout(), nodeLine(info)); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

func (o *options) stats() *cobra.Command {
	return &cobra.Command{
		Use: "stats", Short: "Print what a node knows after joining", Args: cobra.NoArgs,
		RunE: o.with(func(cmd *cobra.Command, _ []string, n *dht.Node) error {
			if err := settle(cmd.Context(), n); err != nil {
				return err
			}
			s, err := n.Stats(cmd.Context())
			if err != nil {
				return err
			}
			return o.print(cmd.OutOrStdout(), statsLines(s))
		}),
	}
}

// settle looks our own id up, which fills the routing table.
func settle(ctx context.Context, n *dht.Node) error {
	for _, err := range n.Get(ctx, n.ID()) {
		if err != nil {
			return err
		}
	}
	return nil
}

// print writes one thing as JSON or as its text.
func (o *options) print(w io.Writer, thing fmt.Stringer) error {
	if o.json {
		return json.NewEncoder(w).Encode(thing)
	}
	_, err := fmt.Fprintln(w, thing)
	return err
}

// valueLine is how a value is printed.
type valueLine struct {
	ID        string     `json:"id"`
	Type      value.Type `json:"type"`
	UserType  string     `json:"user_type,omitempty"`
	Owner     *dht.Key   `json:"owner,omitempty"`
	Seq       *uint16    `json:"seq,omitempty"`
	Encrypted bool       `json:"encrypted,omitempty"`
	Size      int        `json:"size"`
	Text      string     `json:"text,omitempty"`
	Hex       string     `json:"hex,omitempty"`
	Expired   bool       `json:"expired,omitempty"`
}

func describe(v *dht.Value) valueLine {
	d := valueLine{ID: fmt.Sprintf("%016x", v.ID), Type: v.Type, UserType: v.UserType, Encrypted: v.IsEncrypted(), Size: v.Size()}
	if v.Owner != nil {
		owner, seq := v.Owner.ID(), v.Seq
		d.Owner, d.Seq = &owner, &seq
	}
	content := v.Data
	if v.IsEncrypted() {
		content = v.Cipher
	}
	if utf8.Valid(content) && !v.IsEncrypted() {
		d.Text = string(content)
	} else {
		d.Hex = hex.EncodeToString(content)
	}
	return d
}

func (d valueLine) String() string {
	text := d.ID + " type " + strconv.Itoa(int(d.Type))
	if d.UserType != "" {
		text += fmt.Sprintf(" (%q)", d.UserType)
	}
	if d.Owner != nil {
		text += fmt.Sprintf(" signed by %s version %d", d.Owner, *d.Seq)
	}
	switch {
	case d.Encrypted:
		text += fmt.Sprintf(" encrypted, %d bytes", d.Size)
	case d.Text != "":
		text += fmt.Sprintf(" %q", d.Text)
	default:
		text += " " + d.Hex
	}
	if d.Expired {
		text += " expired"
	}
	return text
}

type nodeLine dht.NodeInfo

func (n nodeLine) String() string {
	state := "dubious"
	if n.Good {
		state = "good"
	}
	return fmt.Sprintf("%s %s %s", n.ID, n.Addr, state)
}

type statsLines dht.Stats

func (s statsLines) String() string {
	family := func(name string, f dht.FamilyStats) string {
		return fmt.Sprintf("%s: %d good nodes, %d dubious, %d buckets, %d searches\n", name, f.Good, f.Dubious, f.Buckets, f.Searches)
	}
	return fmt.Sprintf("node %s\n", s.ID) + family("IPv4", s.IPv4) + family("IPv6", s.IPv6) +
		fmt.Sprintf("stored: %d values at %d keys, %d bytes; %d listeners\nseen at: %v", s.Values, s.Keys, s.Bytes, s.Listeners, s.Reported)
}
