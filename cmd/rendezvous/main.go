// Command rendezvous is an always-on meeting host: browsers, phones and Jami
// devices meet in its rooms. This package is flags, wiring, start and stop.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rendezvous/cmd/rendezvous/dhtcmd"
	"rendezvous/cmd/rendezvous/swarmcmd"
	"rendezvous/internal/config"
)

// version is set by the linker (make build).
var version = ""

func main() {
	if err := command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "rendezvous:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "rendezvous",
		Short:         "An always-on meeting host for browsers, SIP phones and Jami",
		Long:          about,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(serveCommand(), checkCommand(), doctorCommand(), versionCommand(),
		accountCommand(), contactsCommand(), requestsCommand(), contactCommand(),
		roomsCommand(), participantsCommand(), recordingsCommand(), linkCommand(), linksCommand(), orderCommand(), auditCommand(), dhtcmd.Command(),
		swarmCommand(), manCommand(root))
	return root
}

// about is the head of the help and of the manual page (Markdown).
const about = `A host keeps rooms that browsers, SIP phones and Jami devices meet in. It is run by
rendezvous serve; where it was installed as a package, by systemd as rendezvous.service, with the
configuration ` + installedFile + ` and its data in ` + installedDir + `.

All other commands that say nothing else are about the host whose data folder is here: the one that
` + hereFile + ` in the working folder names, or else the folder data. If there is none, they are
about the installed host. --data and --config name another. Only root and the owner of the data
folder may ask a host.`

// source is where the configuration comes from: a file, and the flags that stand for settings, by key.
type source struct {
	file  string
	flags map[string]*pflag.Flag
}

// flagKeys says which setting a flag is for.
var flagKeys = []struct{ flag, key, usage string }{
	{"data", "data", "folder of everything the host keeps"},
	{"log-level", "log.level", "debug, info, warn or error"},
	{"web-listen", "web.listen", "address of the web door"},
	{"public-url", "web.public_url", "where people reach the web door"},
	{"sip-listen", "sip.udp", "address for SIP over UDP and TCP"},
	{"admin-listen", "admin.listen", "address of the operators' port"},
}

// add gives a command the flags that stand for settings. Without a file the command looks for one.
func (s *source) add(cmd *cobra.Command, file string) {
	usage := "configuration file"
	if file == "" {
		usage = configUsage
	}
	cmd.Flags().StringVarP(&s.file, "config", "c", file, usage)
	s.flags = map[string]*pflag.Flag{}
	for _, f := range flagKeys {
		cmd.Flags().String(f.flag, "", f.usage+" (setting "+f.key+")")
		s.flags[f.key] = cmd.Flags().Lookup(f.flag)
	}
	s.flags["sip.tcp"] = s.flags["sip.udp"]
}

func (s *source) load() (*config.Config, error) {
	return config.Load(config.Source{File: s.file, Flags: s.flags})
}

// swarmCommand reads the rooms' conversations in the data folder.
func swarmCommand() *cobra.Command {
	var a asker
	cmd := swarmcmd.Command(func() (string, error) {
		err := a.find()
		return a.data, err
	})
	a.addFolder(cmd)
	cmd.PersistentFlags().AddFlagSet(cmd.Flags()) // they are its subcommands'
	return cmd
}

func checkCommand() *cobra.Command {
	var s source
	cmd := &cobra.Command{
		Use:   "check-config",
		Short: "Tell whether the configuration is in order",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.file == "" {
				s.file = standardPlaces().configuration()
			}
			cfg, err := s.load()
			if err != nil {
				return err
			}
			if _, err := recordingKeys(cfg); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is in order\n", s.file)
			return err
		},
	}
	s.add(cmd, "")
	return cmd
}

func versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
				System  string `json:"system"`
			}{currentVersion(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), v)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "rendezvous %s (%s, %s)\n", v.Version, v.Go, v.System)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// currentVersion is what the linker was told, or what go build found out.
func currentVersion() string {
	if version != "" {
		return version
	}
	return fmt.Sprintf("%.12s", revision())
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
