package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"rendezvous/internal/doctor"
)

func doctorCommand() *cobra.Command {
	var s source
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Examine the machine and the configuration before people are invited",
		Long: "Looks at names, ports, certificates, the clock, the disk, the processors, and at how the internet and the Jami\n" +
			"network are reached; says what is and what to do. Run it as the account of the service, whether the host runs or not.\n" +
			"It ends with 1 if something keeps people from meeting.",
		Example: "  sudo -u rendezvous rendezvous doctor",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.loadFound()
			if err != nil {
				return err
			}
			findings := doctor.Examination{Config: cfg}.Run(cmd.Context())
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), findings)
			} else {
				err = report(cmd.OutOrStdout(), findings)
			}
			if n := doctor.Faults(findings); err == nil && n > 0 {
				return fmt.Errorf("doctor: %d of %d findings keep people from meeting", n, len(findings))
			}
			return err
		},
	}
	s.add(cmd, "")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// report prints findings for people, what to do below each.
func report(w io.Writer, findings []doctor.Finding) error {
	for _, f := range findings {
		if _, err := fmt.Fprintf(w, "%-6s %-13s %s\n", f.State, f.Check, f.Says); err != nil {
			return err
		}
		if f.Do == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-6s %-13s   > %s\n", "", "", f.Do); err != nil {
			return err
		}
	}
	return nil
}
