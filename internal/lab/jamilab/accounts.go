package jamilab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// A new account costs a daemon 5 to 7 seconds of CPU: two RSA keys of 4096 bits and
// Diffie-Hellman parameters. So the accounts that Accounts makes are kept in the user's cache
// folder, by the daemon's build and the peer's name, and the peers of later labs begin with them.

// keptAccounts is where; empty if there is no such folder.
func keptAccounts() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "rendezvous", "jamilab")
}

// Accounts waits until each of the daemons has an account by its name that is announced. One that
// did not begin with a kept account makes one.
func Accounts(ctx context.Context, peers ...*Peer) error {
	var all errgroup.Group
	for _, p := range peers {
		all.Go(func() error { return p.adopt(ctx) })
	}
	return all.Wait()
}

// adopt takes the account that the daemon began with, or makes one and keeps it.
func (p *Peer) adopt(ctx context.Context) error {
	var had []string
	if err := p.Call(ctx, "ConfigurationManager.getAccountList", nil, &had); err != nil {
		return err
	}
	if len(had) > 0 {
		p.Account = had[0]
		return errors.Join(p.WaitRegistered(ctx), p.WaitDHParams(ctx))
	}
	if err := p.NewAccount(ctx, p.name, nil); err != nil {
		return err
	}
	return p.lab.do("keep", p.name, p.Account)
}

// NewAccount makes an account on the lab's DHT and waits until it is
// registered and announced, and can take connections. Details override the
// account's settings.
func (p *Peer) NewAccount(ctx context.Context, alias string, details map[string]string) error {
	d := map[string]string{}
	if err := p.Call(ctx, "ConfigurationManager.getAccountTemplate", []any{"RING"}, &d); err != nil {
		return err
	}
	maps.Copy(d, map[string]string{
		"Account.type": "RING", "Account.alias": alias, "Account.displayName": alias,
		"Account.hostname": Bootstrap, "Account.archivePassword": "",
		"DHT.PublicInCalls": "true", "Account.upnpEnabled": "false", "TURN.enable": "false", "STUN.enable": "false",
		"RingNS.uri": "http://127.0.0.1:9", "Account.peerDiscovery": "false", "Account.accountDiscovery": "false",
		"Account.accountPublish": "false", "Account.proxyEnabled": "false", "Account.useTurn": "false",
	})
	maps.Copy(d, details)
	if err := p.Call(ctx, "ConfigurationManager.addAccount", []any{d}, &p.Account); err != nil {
		return err
	}
	return errors.Join(p.WaitRegistered(ctx), p.WaitDHParams(ctx))
}

// WaitRegistered waits until the account is registered and its device
// announced, and reads its ids.
func (p *Peer) WaitRegistered(ctx context.Context) error {
	for {
		var v, d map[string]string
		if err := p.Call(ctx, "ConfigurationManager.getVolatileAccountDetails", []any{p.Account}, &v); err != nil {
			return err
		}
		if err := p.Call(ctx, "ConfigurationManager.getAccountDetails", []any{p.Account}, &d); err != nil {
			return err
		}
		announced, told := v["Account.deviceAnnounced"]
		if v["Account.registrationStatus"] == "REGISTERED" && d["Account.username"] != "" && (!told || announced == "true") {
			p.URI = strings.TrimPrefix(d["Account.username"], "ring:")
			p.Device = v["Account.deviceID"]
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("jamilab: %s: account is %s: %w", p.name, v["Account.registrationStatus"], ctx.Err())
		}
	}
}

// WaitDHParams waits until the daemon has made the Diffie-Hellman parameters of
// its account. It begins with that when the account is new, needs seconds of CPU
// for it, and a TLS handshake in which it is the server waits, on a busy machine
// until the other side gives up. Newer daemons begin with it when they need them.
func (p *Peer) WaitDHParams(ctx context.Context) error {
	if newer, err := p.newer(ctx); newer || err != nil {
		return err
	}
	file := filepath.Join(p.Home(), ".cache", p.Account, "dhParams")
	for {
		if info, err := os.Stat(file); err == nil && info.Size() > 0 {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("jamilab: %s: no DH parameters: %w", p.name, ctx.Err())
		}
	}
}
