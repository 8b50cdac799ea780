package dht

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Errors of a node's calls.
var (
	// ErrClosed says that the node was closed, or not started.
	ErrClosed = errors.New("dht: node is closed")
	// ErrNoNodes says that no node answered: we are alone or cut off.
	ErrNoNodes = errors.New("dht: no node answered")
	// ErrNotFound says that what was looked for is not on the DHT.
	ErrNotFound = errors.New("dht: not found")
	// ErrTooManyOperations says that the node has as many searches as its limits allow.
	ErrTooManyOperations = errors.New("dht: too many operations")
)

// Node is one node of the DHT. All methods are safe for many goroutines.
type Node struct {
	cfg     Config
	id      Key
	saved   state
	log     *slog.Logger
	metrics *metrics
	listen  func(f family, address string) (packetConn, error)

	conns    [numFamilies]packetConn
	packets  chan packet        // from the readers to the engine
	commands chan func(*engine) // from everybody to the engine
	jobs     chan job           // from the engine to the crypto workers
	stopping chan struct{}      // closed when the node is to end
	finished chan struct{}      // closed when it has
	ctx      context.Context    // ends with stopping

	mu      sync.Mutex // guards the rest
	started bool
	stopped bool
	cancel  context.CancelFunc
	tasks   sync.WaitGroup // of goroutines; added to only while not stopped
}

// New makes a node, which does nothing before Start. It reads the state file, and reports what is wrong with the config.
func New(cfg Config) (*Node, error) {
	if cfg.IPv4 == "" && cfg.IPv6 == "" {
		return nil, errors.New("dht: no address to bind")
	}
	for _, b := range cfg.Bootstrap {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return nil, fmt.Errorf("dht: bootstrap: %w", err)
		}
	}
	cfg.Limits = cfg.Limits.withDefaults()
	n := &Node{
		cfg: cfg, id: cfg.NodeID, log: cfg.Logger, metrics: &metrics{}, listen: listenUDP,
		packets:  make(chan packet, 1024),
		commands: make(chan func(*engine), 256),
		jobs:     make(chan job, 256),
		stopping: make(chan struct{}),
		finished: make(chan struct{}),
	}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if cfg.StateFile != "" {
		var err error
		if n.saved, err = loadOrPutAside(cfg.StateFile); err != nil {
			n.log.Warn("the DHT state is damaged; the network is joined anew", "error", err)
		}
	}
	if n.id.IsZero() {
		n.id = n.saved.ID
	}
	if n.id.IsZero() {
		n.id = randomKey()
	}
	n.metrics.stats = n.Stats
	return n, nil
}

// Start binds the sockets and joins the network in the background, until ctx ends or Close is called. A node is started
// once.
func (n *Node) Start(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.started || n.stopped {
		return errors.New("dht: node was started before")
	}
	for f, address := range [numFamilies]string{n.cfg.IPv4, n.cfg.IPv6} {
		if address == "" {
			continue
		}
		conn, err := n.listen(family(f), address)
		if errors.Is(err, syscall.EAFNOSUPPORT) && n.cfg.IPv4 != "" && n.cfg.IPv6 != "" {
			n.log.Warn("this host has no such addresses, the DHT does without", "family", family(f).String(), "error", err)
			continue
		}
		if err != nil {
			n.closeConns()
			return fmt.Errorf("start DHT node: %w", err)
		}
		n.conns[f] = conn
	}
	if n.cfg.Metrics != nil {
		if err := n.cfg.Metrics.Register(n.metrics); err != nil {
			n.closeConns()
			return fmt.Errorf("start DHT node: %w", err)
		}
	}
	if n.saved.ID != n.id {
		n.saveState(state{ID: n.id}) // a crash must not cost us our place
	}
	n.started = true
	n.ctx, n.cancel = context.WithCancel(ctx)
	context.AfterFunc(n.ctx, func() { n.Close() })
	for _, conn := range n.conns {
		if conn != nil {
			n.tasks.Go(func() { n.read(conn) })
		}
	}
	for range max(1, runtime.GOMAXPROCS(0)) {
		n.tasks.Go(n.work)
	}
	n.tasks.Go(n.watchAddresses)
	e := newEngine(n.id, n.cfg, n.log, n.metrics, n.conns, n.jobs)
	e.upkeep.known = n.saved.nodes()
	e.upkeep.resolve = func() { n.spawn(n.resolve) }
	e.upkeep.save = n.save
	n.tasks.Go(func() { n.run(e) })
	return nil
}

// run is the engine's goroutine.
func (n *Node) run(e *engine) {
	e.begin()
	e.turn()
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for {
		alarm.Reset(e.wait())
		select {
		case p := <-n.packets:
			e.now = time.Now()
			e.onPacket(p)
		case c := <-n.commands:
			e.now = time.Now()
			c(e)
		case <-alarm.C:
		case <-n.stopping:
			e.shutdown()
			n.saveState(e.state())
			return
		}
		e.turn()
	}
}

// shutdown ends all operations that wait for the engine.
func (e *engine) shutdown() {
	for _, f := range e.families() {
		for _, s := range e.searches[f] {
			for _, op := range slices.Clone(s.gets) {
				op.stop(e)
			}
			for _, op := range slices.Clone(s.puts) {
				op.stop(e)
			}
			for _, op := range slices.Clone(s.listens) {
				op.stop(e)
			}
		}
	}
}

// work is a crypto worker.
func (n *Node) work() {
	for {
		select {
		case j := <-n.jobs:
			j.do()
			n.post(j.then)
		case <-n.stopping:
			return
		}
	}
}

// Close saves the state, ends every operation and waits for all goroutines of the node. Twice is the same as once. The
// error is that of closing the sockets; a state that cannot be saved is only logged.
func (n *Node) Close() error {
	n.mu.Lock()
	if n.stopped || !n.started {
		started := n.started
		n.stopped = true
		n.mu.Unlock()
		if started {
			<-n.finished
		}
		return nil
	}
	n.stopped = true
	close(n.stopping)
	n.cancel()
	n.mu.Unlock()
	err := n.closeConns()
	n.tasks.Wait()
	if n.cfg.Metrics != nil {
		n.cfg.Metrics.Unregister(n.metrics)
	}
	close(n.finished)
	if err != nil {
		return fmt.Errorf("close DHT node: %w", err)
	}
	return nil
}

func (n *Node) closeConns() error {
	var errs []error
	for _, conn := range n.conns {
		if conn != nil {
			errs = append(errs, conn.Close())
		}
	}
	return errors.Join(errs...)
}

// spawn starts a goroutine that Close waits for; it reports false when the node has ended or not begun. The function
// must end when n.stopping is closed.
func (n *Node) spawn(f func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopped || !n.started {
		return false
	}
	n.tasks.Go(f)
	return true
}

// do runs a command in the engine and waits for it.
func (n *Node) do(ctx context.Context, command func(*engine)) error {
	ran := make(chan struct{})
	n.mu.Lock()
	usable := n.started && !n.stopped
	n.mu.Unlock()
	if !usable {
		return ErrClosed
	}
	select {
	case n.commands <- func(e *engine) { command(e); close(ran) }:
	case <-ctx.Done():
		return ctx.Err()
	case <-n.stopping:
		return ErrClosed
	}
	select {
	case <-ran:
		return nil
	case <-n.stopping:
		return ErrClosed
	}
}

// post has the engine run a command some time; it is lost only if the node ends.
func (n *Node) post(command func(*engine)) {
	select {
	case n.commands <- command:
	case <-n.stopping:
	}
}

// withStop returns a context that ends with ctx or with the node.
func (n *Node) withStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(n.ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// ID returns the node id: the place among the keys for which the node stores what others put.
func (n *Node) ID() Key { return n.id }

// Addrs returns the bound addresses, IPv4 first; it is valid after Start.
func (n *Node) Addrs() []netip.AddrPort {
	n.mu.Lock()
	defer n.mu.Unlock()
	var addrs []netip.AddrPort
	for _, conn := range n.conns {
		if conn == nil {
			continue
		}
		if addr, err := netip.ParseAddrPort(conn.LocalAddr().String()); err == nil {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// WaitConnected returns when at least one other node has answered lately. If ctx ends before, the error wraps ErrNoNodes
// and the context's; ErrClosed if the node does.
func (n *Node) WaitConnected(ctx context.Context) error {
	connected := make(chan struct{})
	if err := n.do(ctx, func(e *engine) {
		if e.anyConnected() {
			close(connected)
		} else {
			e.upkeep.waiting = append(e.upkeep.waiting, connected)
		}
	}); err != nil {
		return err
	}
	select {
	case <-connected:
		return nil
	case <-ctx.Done():
		n.post(func(e *engine) {
			e.upkeep.waiting = slices.DeleteFunc(e.upkeep.waiting, func(c chan struct{}) bool { return c == connected })
		})
		return fmt.Errorf("%w: %w", ErrNoNodes, ctx.Err())
	case <-n.stopping:
		return ErrClosed
	}
}

// ConnectivityChanged tells the node that the host's addresses or routes changed: everything known is checked anew at
// once. The node notices changes of addresses by itself, within seconds.
func (n *Node) ConnectivityChanged() { n.post((*engine).connectivityChanged) }

// Bootstrap asks another node, host:port, to let us join through it, besides those of the Config. It does not wait for
// the answer. It fails if the host's addresses cannot be found within ctx, and with ErrClosed.
func (n *Node) Bootstrap(ctx context.Context, address string) error {
	addrs, err := resolve(ctx, address)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	return n.do(ctx, func(e *engine) { e.bootstrap(addrs) })
}

// resolve looks up the configured bootstrap names.
func (n *Node) resolve() {
	for _, name := range n.cfg.Bootstrap {
		ctx, cancel := context.WithTimeout(n.ctx, 10*time.Second)
		addrs, err := resolve(ctx, name)
		cancel()
		if err != nil {
			n.log.Warn("cannot resolve DHT bootstrap node", "name", name, "error", err)
			continue
		}
		n.post(func(e *engine) { e.bootstrap(addrs) })
	}
}

func resolve(ctx context.Context, address string) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "udp", service)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	addrs := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		addrs[i] = netip.AddrPortFrom(ip.Unmap(), uint16(port))
	}
	return addrs, nil
}

// save writes the state in the background.
func (n *Node) save(s state) { n.spawn(func() { n.saveState(s) }) }

func (n *Node) saveState(s state) {
	if n.cfg.StateFile == "" {
		return
	}
	if err := s.save(n.cfg.StateFile); err != nil {
		n.log.Error("cannot save the DHT state", "error", err)
	}
}

// addressCheck is how often the host's addresses are looked at.
const addressCheck = 10 * time.Second

// watchAddresses notices when the host gets or loses an address.
func (n *Node) watchAddresses() {
	tick := time.NewTicker(addressCheck)
	defer tick.Stop()
	last := hostAddresses()
	for {
		select {
		case <-tick.C:
			if now := hostAddresses(); !slices.Equal(now, last) {
				last = now
				n.ConnectivityChanged()
			}
		case <-n.stopping:
			return
		}
	}
}

func hostAddresses() []string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var texts []string
	for _, a := range addrs {
		texts = append(texts, a.String())
	}
	slices.Sort(texts)
	return texts
}

// Nodes returns the nodes of the routing tables, nearest first, IPv4 before IPv6. The error is ErrClosed or the
// context's.
func (n *Node) Nodes(ctx context.Context) (nodes []NodeInfo, err error) {
	err = n.do(ctx, func(e *engine) { nodes = e.nodes() })
	return nodes, err
}

// Stats returns what the node knows and stores at one moment. The error is ErrClosed or the context's.
func (n *Node) Stats(ctx context.Context) (s Stats, err error) {
	err = n.do(ctx, func(e *engine) { s = e.stats() })
	return s, err
}
