// Dhtbench compares our DHT node with dhtnode, in one run and one local network of dhtnodes: how long a put and a get
// take, how many a second it does, what 10,000 stored values cost in memory, and what an idle node costs in CPU time.
//
//	go run ./dht/dhtbench
//
// It needs Debian's package dhtnode. Everything happens on loopback.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"rendezvous/dht"
	"rendezvous/internal/lab/opendht"
)

func main() {
	log.SetFlags(0)
	var p plan
	serve := flag.String("serve", "", "internal: run a node of ours that joins through `HOST:PORT`, and nothing else")
	flag.IntVar(&p.nodes, "nodes", 8, "dhtnodes in the network")
	flag.IntVar(&p.ops, "ops", 200, "puts and gets timed one by one")
	flag.IntVar(&p.burst, "burst", 300, "puts and gets at once; dhtnode takes 1024 requests a second from one address")
	flag.IntVar(&p.values, "values", 10000, "values stored for the memory figure")
	flag.StringVar(&p.results, "results", "", "append the figures to this file, in the Go benchmark format")
	flag.DurationVar(&p.idle, "idle", 30*time.Second, "how long to look at idle nodes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *serve != "" {
		err = runServed(ctx, *serve)
	} else {
		err = p.run(ctx)
	}
	if err != nil {
		log.Fatal("dhtbench: ", err)
	}
}

// plan is what to measure.
type plan struct {
	nodes, ops, burst, values int
	idle                      time.Duration
	results                   string // file, "" for none
}

func (p plan) run(ctx context.Context) error {
	var network []*opendht.Node
	for i := range p.nodes {
		o := opendht.Options{}
		if i > 0 {
			o.Bootstrap = network[0].Addr()
		}
		n, err := opendht.StartNode(ctx, o)
		if err != nil {
			return err
		}
		defer n.Kill()
		network = append(network, n)
	}
	for _, n := range network {
		if err := n.WaitConnected(ctx); err != nil {
			return err
		}
	}
	bootstrap := network[0].Addr()

	ours, err := startOurs(ctx, "127.0.0.1:0", bootstrap)
	if err != nil {
		return err
	}
	defer ours.Close()
	theirs, err := opendht.StartNode(ctx, opendht.Options{Bootstrap: bootstrap})
	if err != nil {
		return err
	}
	defer theirs.Kill()
	if err := theirs.WaitConnected(ctx); err != nil {
		return err
	}
	time.Sleep(3 * time.Second) // for both to have found their places: the figures are those of settled nodes

	times, err := p.time(ctx, ourSubject{ours}, dhtnodeSubject{theirs})
	if err != nil {
		return err
	}
	our, their := times[0], times[1]
	served, err := startServed(bootstrap)
	if err != nil {
		return err
	}
	defer served.kill()
	ourIdle, theirIdle, err := p.idleCPU(ctx, served.pid(), theirs.Pid())
	if err != nil {
		return err
	}
	mem, err := p.memory(ctx)
	if err != nil {
		return err
	}

	fmt.Printf("DHT node against dhtnode, network of %d dhtnodes on loopback\n\n", p.nodes)
	return p.report([]figure{
		{"put/p50", "put p50", "ms", ms(our.put, 50), ms(their.put, 50)},
		{"put/p99", "put p99", "ms", ms(our.put, 99), ms(their.put, 99)},
		{"get/p50", "get p50", "ms", ms(our.get, 50), ms(their.get, 50)},
		{"get/p99", "get p99", "ms", ms(our.get, 99), ms(their.get, 99)},
		{"puts", "puts at once", "1/s", rate(p.burst, our.putBurst), rate(p.burst, their.putBurst)},
		{"gets", "gets at once", "1/s", rate(p.burst, our.getBurst), rate(p.burst, their.getBurst)},
		{"memory/empty", "memory, empty", "MB", mb(mem.ourEmpty), mb(mem.theirEmpty)},
		{fmt.Sprintf("memory/values=%d", p.values), fmt.Sprintf("memory, %d values", p.values), "MB", mb(mem.ourFull), mb(mem.theirFull)},
		{"values", "values held", "values", float64(mem.ourValues), float64(mem.theirValues)},
		{"idle", "CPU when idle", "ms/min", perMinute(ourIdle, p.idle), perMinute(theirIdle, p.idle)},
	})
}

func startOurs(ctx context.Context, address, bootstrap string) (*dht.Node, error) {
	cfg := dht.Config{IPv4: address}
	if bootstrap != "" {
		cfg.Bootstrap = []string{bootstrap}
	}
	n, err := dht.New(cfg)
	if err != nil {
		return nil, err
	}
	if err := n.Start(ctx); err != nil {
		return nil, err
	}
	if bootstrap == "" {
		return n, nil
	}
	return n, n.WaitConnected(ctx)
}
