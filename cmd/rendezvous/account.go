package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"rendezvous/internal/atomicfile"
	"rendezvous/internal/config"
	"rendezvous/internal/datadir"
	"rendezvous/signalling/jami/account"
)

// passwordEnv may hold the password of a backup.
const passwordEnv = "RENDEZVOUS_BACKUP_PASSWORD"

// maxBackup bounds a backup that is read, in bytes.
const maxBackup = 16 << 20

func accountCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "account",
		Short: "Back up and restore the Jami account of a room",
		Long: `Back up and restore the Jami account of a room: its id, its keys and its contacts.

Backups have the format of Jami's own archives: a Jami client can be started from one, and a
room from a client's. Who has a backup and its password can be the room. The password is asked
for, or read from --password-file, or from $` + passwordEnv + `; an empty one leaves the backup
unprotected.`,
	}
	cmd.AddCommand(accountExportCommand(), accountImportCommand())
	return cmd
}

// backup is what both commands need.
type backup struct {
	asker
	passwordFile string
}

func (b *backup) add(cmd *cobra.Command) {
	b.addFolder(cmd)
	cmd.Flags().StringVar(&b.passwordFile, "password-file", "", "file whose first line is the backup's password")
}

func accountExportCommand() *cobra.Command {
	var b backup
	var force bool
	cmd := &cobra.Command{
		Use:   "export ROOM FILE",
		Short: "Write a backup of a room's account, for its owner alone to read",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := b.accountDir(args[0])
			if err != nil {
				return err
			}
			if _, err := os.Lstat(args[1]); !force && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s exists already (--force overwrites it)", args[1])
			}
			if _, err := os.Stat(dir); err != nil {
				return fmt.Errorf("room %s has no Jami account in this data folder", args[0])
			}
			password, err := b.password(cmd, true)
			if err != nil {
				return err
			}
			packed, err := account.Backup(dir, b.title(args[0]), password)
			if err != nil {
				return err
			}
			if err := atomicfile.Write(args[1], packed, 0o600); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.ErrOrStderr(), "%s holds the account of room %s\n", args[1], args[0])
			return err
		},
	}
	b.add(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "overwrite the file")
	return cmd
}

func accountImportCommand() *cobra.Command {
	var b backup
	var replace bool
	cmd := &cobra.Command{
		Use:   "import ROOM FILE",
		Short: "Give a room the account of a backup, while the host does not run",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			dir, err := b.accountDir(args[0])
			if err != nil {
				return err
			}
			packed, err := readBackup(args[1])
			if err != nil {
				return err
			}
			data, err := datadir.Open(filepath.Dir(filepath.Dir(dir))) // refused while a host runs
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, data.Close()) }()
			_, err = os.Stat(dir)
			exists := err == nil
			if exists && !replace {
				return fmt.Errorf("room %s has an account already (--replace puts it aside)", args[0])
			}
			password, err := b.password(cmd, false)
			if err != nil {
				return err
			}
			// Made beside the old one, which is only put aside when the new one is there.
			fresh, err := os.MkdirTemp(filepath.Dir(dir), ".import-")
			if errors.Is(err, fs.ErrNotExist) {
				if err = atomicfile.MkdirAll(filepath.Dir(dir), 0o700); err == nil {
					fresh, err = os.MkdirTemp(filepath.Dir(dir), ".import-")
				}
			}
			if err != nil {
				return err
			}
			defer os.RemoveAll(fresh)
			if err := account.Import(fresh, packed, password); err != nil {
				return err
			}
			if exists {
				aside := dir + ".replaced-" + time.Now().UTC().Format("20060102T150405Z")
				if err := atomicfile.Rename(dir, aside); err != nil {
					return err
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "the room's former account is in %s\n", aside)
			}
			if err := atomicfile.Rename(fresh, dir); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.ErrOrStderr(), "room %s has the account of %s\n", args[0], args[1])
			return err
		},
	}
	b.add(cmd)
	cmd.Flags().BoolVar(&replace, "replace", false, "put aside the account that the room has")
	return cmd
}

// accountDir is where a room's account is kept.
func (b *backup) accountDir(room string) (string, error) {
	if room != filepath.Base(room) || strings.HasPrefix(room, ".") {
		return "", fmt.Errorf("%q is no room id", room)
	}
	socket, err := b.socket()
	if err != nil {
		return "", err
	}
	return filepath.Join(filepath.Dir(socket), "jami", room), nil
}

// title is what the account is called in the backup: as the room in the configuration.
func (b *backup) title(room string) string {
	if cfg, err := config.Load(config.Source{File: b.file}); err == nil && cfg.Rooms[room].Title != "" {
		return cfg.Rooms[room].Title
	}
	return room
}

func readBackup(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	packed, err := io.ReadAll(io.LimitReader(f, maxBackup+1))
	if err == nil && len(packed) > maxBackup {
		err = fmt.Errorf("%s is larger than %d bytes: no backup", file, maxBackup)
	}
	return packed, err
}

// password finds the backup's password; for a new one it is asked for twice.
func (b *backup) password(cmd *cobra.Command, fresh bool) (string, error) {
	if b.passwordFile != "" {
		text, err := os.ReadFile(b.passwordFile)
		if err != nil {
			return "", err
		}
		line, _, _ := strings.Cut(string(text), "\n")
		return strings.TrimSuffix(line, "\r"), nil
	}
	if password, ok := os.LookupEnv(passwordEnv); ok {
		return password, nil
	}
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return "", fmt.Errorf("no terminal to ask for the password; give --password-file or $%s", passwordEnv)
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(cmd.ErrOrStderr(), prompt)
		text, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		return string(text), err
	}
	first, err := ask("Password of the backup: ")
	if err != nil || !fresh {
		return first, err
	}
	again, err := ask("Once more: ")
	if err == nil && again != first {
		err = errors.New("the passwords differ")
	}
	return first, err
}
