package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"rendezvous/recordings"
)

// exportCommand copies a recording. It reads the disk, whether a host runs or not.
func exportCommand() *cobra.Command {
	var s source
	cmd := &cobra.Command{
		Use:   "export ROOM RECORDING FOLDER",
		Short: "Copy a finished recording into a new folder, decrypted if need be",
		Args:  cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := s.loadFound()
			if err != nil {
				return err
			}
			keys, err := recordingKeys(cfg)
			if err != nil {
				return err
			}
			dir := cfg.Recordings.Dir
			if !filepath.IsAbs(dir) {
				dir = filepath.Join(cfg.Data, dir)
			}
			if err := recordings.Export(dir, keys, args[0], args[1], args[2]); err != nil {
				return fmt.Errorf("recording %s of %s: %w", args[1], args[0], err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), filepath.Join(args[2], "meeting.mp4"))
			return err
		},
	}
	s.add(cmd, "")
	return cmd
}
