package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"rendezvous/internal/config"
	"rendezvous/internal/datadir"
)

// Where a host is looked for that no flag names: in the working folder, and where a package puts it.
const (
	hereFile      = "config.yaml"
	installedFile = "/etc/rendezvous/config.yaml"
	installedDir  = "/var/lib/rendezvous" // the service's working folder, where relative paths of that file begin
)

// configUsage is of the flag --config where it has no default.
const configUsage = "configuration file (default: " + hereFile + " here, or else " + installedFile + ")"

// site says where a host is that commands are about.
type site struct {
	file string // its configuration, which need not be there
	data string // its data folder
}

// places are a working folder's configuration and that of an installed host, with the folder where the
// latter's relative paths begin.
type places struct{ here, installed, dir string }

func standardPlaces() places { return places{hereFile, installedFile, installedDir} }

// find finds the host: the one whose data folder is here, or else the one that is installed. Where there is neither,
// it is the one that would be started here. It fails if there is an installed one that the caller may not know of.
func (p places) find() (site, error) {
	data, _ := config.DataFolder(p.here) // without a file, or with mistakes in it, there is still a default
	here := site{p.here, data}
	if dataNamed() {
		return site{p.configuration(), data}, nil
	}
	// Nothing is here for whom sudo -u brings into somebody's home that is not theirs.
	if _, err := os.Stat("."); !errors.Is(err, fs.ErrPermission) && datadir.Used(data) {
		return here, nil
	}
	switch f, err := os.Open(p.installed); {
	case err == nil:
		f.Close()
	case errors.Is(err, fs.ErrPermission):
		return site{}, fmt.Errorf("only root and the host's own account may ask the host of %s; try with sudo", p.installed)
	default:
		return here, nil
	}
	data, err := config.DataFolder(p.installed)
	if err != nil {
		return site{}, err
	}
	return site{p.installed, p.resolve(p.installed, data)}, nil
}

// dataNamed tells whether the environment names the data folder.
func dataNamed() bool { return os.Getenv(config.Env("data")) != "" }

// resolve returns a path of a configuration file as it is meant from the working folder.
func (p places) resolve(file, path string) string {
	if file != p.installed || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(p.dir, path)
}

// configuration returns the file here, which is meant even if no host has run with it yet, or else that of the installed host.
func (p places) configuration() string {
	_, here := os.Stat(p.here)
	_, installed := os.Stat(p.installed)
	if here != nil && installed == nil {
		return p.installed
	}
	return p.here
}

// loadFound is load for a command that looks at a host which may be the installed one.
func (s *source) loadFound() (*config.Config, error) {
	if s.file == "" {
		found, err := standardPlaces().find()
		if err != nil {
			return nil, err
		}
		s.file = found.file
	}
	cfg, err := s.load()
	if err == nil && !s.flags["data"].Changed && !dataNamed() {
		cfg.Data = standardPlaces().resolve(s.file, cfg.Data)
	}
	return cfg, err
}
