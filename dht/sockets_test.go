package dht_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/dht"
	"rendezvous/dht/dhttest"
	"rendezvous/dht/value"
	"rendezvous/dht/wire"
)

func TestErrors(t *testing.T) {
	ctx := context.Background()
	if _, err := dht.New(dht.Config{}); err == nil {
		t.Error("a node on no address")
	}
	if _, err := dht.New(dht.Config{IPv4: "127.0.0.1:0", Bootstrap: []string{"no port"}}); err == nil {
		t.Error("a bootstrap node without port")
	}
	idle, err := dht.New(dht.Config{IPv4: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := idle.Put(ctx, dht.Key{1}, &dht.Value{}); !errors.Is(err, dht.ErrClosed) {
		t.Errorf("put before start: %v", err)
	}
	alone := dhttest.Start(t, dht.Config{})
	if err := alone.Put(ctx, dht.Key{1}, &dht.Value{Data: []byte("mine")}); !errors.Is(err, dht.ErrNoNodes) {
		t.Errorf("put alone: %v", err)
	}
	if err := alone.Put(ctx, dht.Key{1}, &dht.Value{Data: make([]byte, value.MaxSize+1)}); !errors.Is(err, value.ErrTooLarge) {
		t.Errorf("put of too much: %v", err)
	}
	if err := alone.Put(ctx, dht.Key{}, &dht.Value{}); err == nil {
		t.Error("put at key zero")
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := alone.WaitConnected(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting with a cancelled context: %v", err)
	}
	// Closing ends what is under way.
	events, err := alone.Listen(ctx, dht.Key{2})
	if err != nil {
		t.Fatal(err)
	}
	p, err := alone.PutPermanent(ctx, dht.Key{3}, &dht.Value{Data: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	alone.Close()
	if _, ok := <-events; ok {
		t.Error("an event after closing")
	}
	if err := p.Wait(ctx); !errors.Is(err, dht.ErrClosed) {
		t.Errorf("permanent put after closing: %v", err)
	}
	for _, err := range alone.Get(ctx, dht.Key{1}) {
		if !errors.Is(err, dht.ErrClosed) {
			t.Errorf("get after closing: %v", err)
		}
	}
	if err := alone.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

// collected returns what a registry has, each metric by its name and the values of its labels.
func collected(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			values[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return values
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	n := dhttest.Start(t, dht.Config{Metrics: registry})
	other := dhttest.Start(t, dht.Config{Bootstrap: []string{dhttest.Addr(n)}})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := other.Put(ctx, dht.Key{1}, &dht.Value{Data: []byte("counted")}); err != nil {
		t.Fatal(err)
	}
	values := collected(t, registry)
	for name, least := range map[string]float64{
		"dht_stored_values": 1, "dht_stored_bytes": 7, "dht_stored_keys": 1, "dht_nodes ipv4 good": 1,
		"dht_requests_total in put": 1, "dht_requests_total in ping": 1, "dht_requests_total out ping": 1,
		"dht_packets_total in": 2, "dht_bytes_total out": 50,
	} {
		if values[name] < least {
			t.Errorf("%s is %v, want at least %v", name, values[name], least)
		}
	}
	n.Close()
	for name := range collected(t, registry) {
		t.Errorf("after closing, registered: %s", name)
	}
}

// Noise, floods and nonsense come over a socket, and the node still answers, without having grown.
func TestFloodedNode(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	registry := prometheus.NewRegistry()
	n := dhttest.Start(t, dht.Config{Limits: dht.Limits{RequestsPerSecondPerAddress: 200}, Metrics: registry})
	attacker, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)})
	if err != nil {
		t.Fatal(err)
	}
	defer attacker.Close()
	target := n.Addrs()[0]
	get := (&wire.Message{Kind: wire.Request, Method: wire.Get, TID: 1, ID: dht.Key{5}, Target: dht.Key{6}}).Append(nil)
	huge := append([]byte{0x81, 0xa1, 'a'}, bytes.Repeat([]byte{0x91}, 60_000)...)
	wide := []byte{0xdf, 0xff, 0xff, 0xff, 0xff}
	for i := range 20_000 {
		for _, p := range [][]byte{get, huge[:100+i%1000], wide, nil} {
			if _, err := attacker.WriteToUDPAddrPort(p, target); err != nil {
				break // the socket's buffer is full
			}
		}
	}
	friend := dhttest.Start(t, dht.Config{Bootstrap: []string{dhttest.Addr(n)}})
	if err := friend.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	if err := friend.Put(ctx, dht.Key{1}, &dht.Value{Data: []byte("still here")}); err != nil {
		t.Fatal(err)
	}
	var found []string
	for v, err := range n.Get(ctx, dht.Key{1}) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, string(v.Data))
	}
	if !slices.Equal(found, []string{"still here"}) {
		t.Errorf("found %q", found)
	}
	values := collected(t, registry)
	if cut, malformed := values["dht_dropped_total rate"], values["dht_dropped_total malformed"]; cut == 0 || malformed == 0 {
		t.Errorf("%v requests cut off, %v datagrams malformed", cut, malformed)
	}
	var mem runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&mem)
	if mem.HeapAlloc > 256<<20 {
		t.Errorf("%d MB of heap after the flood", mem.HeapAlloc>>20)
	}
}
