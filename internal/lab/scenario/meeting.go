package scenario

import (
	"context"
	"errors"
	"fmt"
	"image"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"rendezvous/internal/hosttest"
	"rendezvous/internal/lab/browser"
	"rendezvous/internal/lab/network"
	"rendezvous/internal/lab/phone"
)

// Options say how scenarios are played.
type Options struct {
	Program string   // the host
	Config  string   // its configuration, as shipped
	Env     []string // of it, besides; a later one has precedence
	Seed    uint64   // of the network; 0: 1
	Keep    string   // folder for what the host and Bob's page said, and for all that was measured; "": nothing is kept
	Say     func(format string, args ...any)
}

const (
	tone = 1000 // Hz, Ann's
	// talks is longer than any scenario: the tone has a gap where it begins anew.
	talks = 4 * time.Minute
	port  = "8080"
	// origin is the host's page, as its clients see it.
	origin = "http://10.99.0.1:" + port
	// settling is how long the host may take to find out that the open network carries the best picture.
	settling = time.Minute
	settled  = 4 * time.Second // and how long everything goes on then before it counts
	// phoneSettled is both, for a receiver who does not tell what they see.
	phoneSettled = 20 * time.Second
)

// meeting is a room with those of a scenario in it.
type meeting struct {
	scenario Scenario
	options  Options
	dir      string
	net      *network.Net
	host     *hosttest.Process
	ann, bob *browser.Browser
	phone    *phone.Phone // instead of bob
	skewed   *skewed      // instead of ann
	watchers []*client
	result   Result
}

// Play plays a scenario, in a meeting and a network of its own.
func Play(ctx context.Context, o Options, s Scenario) (result *Result, err error) {
	dir, err := os.MkdirTemp("", "rendezvous-scenario-")
	if err != nil {
		return nil, err
	}
	m := &meeting{scenario: s, options: o, dir: dir, result: Result{Spans: map[string]Span{}, Trace: map[string]Traces{}}}
	if m.options.Say == nil {
		m.options.Say = func(string, ...any) {}
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("scenario %s: %w", s.Name, err)
		}
		err = errors.Join(err, m.keep(), m.end())
	}()
	if err := m.begin(ctx); err != nil {
		return nil, err
	}
	for _, step := range s.Steps {
		if err := m.play(ctx, step); err != nil {
			return nil, fmt.Errorf("%s: %w", step.Name, err)
		}
	}
	return &m.result, m.collect()
}

// begin starts everything, and waits until Bob has the best picture.
func (m *meeting) begin(ctx context.Context) error {
	clients := []string{"ann", "bob"}
	for i := range m.scenario.Watchers {
		clients = append(clients, "w"+strconv.Itoa(i+1))
	}
	var err error
	if m.net, err = network.New(max(1, m.options.Seed), clients...); err != nil {
		return err
	}
	for _, l := range m.net.Links() {
		usual := open(l.Name, Both).settings()
		l.Up.Set(usual)
		l.Down.Set(usual)
	}
	m.options.Say("the host, Ann and Bob")
	if err := m.startHost(); err != nil {
		return err
	}
	if m.scenario.Skew != 0 {
		m.skewed, err = newSkewed(ctx, m.net.Link("ann"), m.scenario.Skew)
	} else {
		m.ann, err = m.join(ctx, "ann", browser.Options{Tone: tone, Talks: talks, Flash: m.scenario.Flash}, 8)
	}
	if err != nil {
		return err
	}
	if m.scenario.Phone {
		return m.dial(ctx)
	}
	if m.bob, err = m.join(ctx, "bob", browser.Options{}, 3); err != nil {
		return err
	}
	for _, l := range m.net.Links()[2:] {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		w, err := newWatcher(ctx, l)
		cancel()
		if err != nil {
			return err
		}
		m.watchers = append(m.watchers, w)
	}
	var spot image.Rectangle
	if m.ann != nil {
		if spot, err = m.spot(); err != nil {
			return err
		}
	}
	m.options.Say("until Bob has the best picture")
	top := fmt.Sprintf(`document.querySelector(%q).videoHeight >= call.room.height`, browser.Stage)
	if err := m.bob.WaitFor(top, settling); err != nil {
		return fmt.Errorf("on an open network: %w", err)
	}
	if err := m.bob.Watch(browser.Watch{Tone: tone, Spot: spot}); err != nil {
		return err
	}
	return m.wait(ctx, time.Now().Add(settled))
}

// dial has Bob's telephone call.
func (m *meeting) dial(ctx context.Context) error {
	bob := m.net.Link("bob")
	var err error
	m.phone, err = phone.Start(ctx, phone.Config{User: "bob", Name: "bob", Codecs: []string{"opus/48000/2"}, Video: true, NetNS: bob.Namespace(), Addr: bob.Addr().String()})
	if err != nil {
		return err
	}
	soon, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := m.phone.Dial(soon, "sip:main@"+network.Host.String()); err != nil {
		return err
	}
	return m.wait(ctx, time.Now().Add(phoneSettled))
}

func (m *meeting) startHost() error {
	dir := filepath.Join(m.dir, "host")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	host := network.Host.String()
	site, err := hosttest.Prepare(dir, m.options.Program, m.options.Config, append([]string{
		"RENDEZVOUS_WEB_LISTEN=:" + port, "RENDEZVOUS_WEB_PLAIN_HTTP=true", "RENDEZVOUS_WEB_MEDIA_UDP=" + host + ":" + port,
		"RENDEZVOUS_SIP_UDP=" + host + ":5060", "RENDEZVOUS_SIP_TCP=" + host + ":5060", "RENDEZVOUS_SIP_TLS=", "RENDEZVOUS_SIP_EXTERNAL=" + host,
		"RENDEZVOUS_LOG_LEVEL=debug", "RENDEZVOUS_ROOMS_MAIN_RECORDING=off",
		// A steady tone with gaps is howling, and noise.
		"RENDEZVOUS_ROOMS_MAIN_NOISE_GATE=false", "RENDEZVOUS_ROOMS_MAIN_MUTE_HOWLING=false", "RENDEZVOUS_ROOMS_MAIN_ECHO=off",
	}, m.options.Env...)...)
	if err != nil {
		return err
	}
	site.Wrap = []string{"ip", "netns", "exec", m.net.HostNamespace()}
	m.host, err = site.Launch()
	return err
}

// join has a browser join at the end of a path.
func (m *meeting) join(ctx context.Context, who string, o browser.Options, noise int) (*browser.Browser, error) {
	lively := filepath.Join(m.dir, who+".y4m")
	if err := film(ctx, lively, noise); err != nil {
		return nil, err
	}
	o.NetNS = m.net.Link(who).Namespace()
	o.Flags = []string{"unsafely-treat-insecure-origin-as-secure=" + origin, "use-file-for-fake-video-capture=" + lively}
	b, err := browser.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := b.Join(origin+"/r/main", who, ""); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// spot is a part of Ann's tile away from her name, as if the canvas had 1280x720.
func (m *meeting) spot() (image.Rectangle, error) {
	if err := m.bob.WaitPeople(2+m.scenario.Watchers, 30*time.Second); err != nil {
		return image.Rectangle{}, err
	}
	tile, err := m.bob.Tile("ann")
	if err != nil {
		return image.Rectangle{}, err
	}
	if tile.Empty() {
		return image.Rectangle{}, errors.New("ann is not on the canvas")
	}
	var width int
	if err := m.bob.Eval("call.room.width", &width); err != nil {
		return image.Rectangle{}, err
	}
	part := image.Rect(0, 0, tile.Dx()/3, tile.Dy()/3).Add(tile.Min).Add(image.Pt(tile.Dx()/4, tile.Dy()/4))
	scale := func(p image.Point) image.Point { return p.Mul(1280).Div(width) }
	return image.Rectangle{Min: scale(part.Min), Max: scale(part.Max)}, nil
}

// settings are a path's, with the usual delay.
func (p Path) settings() network.Settings {
	s := p.Settings
	if s.Delay == 0 {
		s.Delay = delay
	}
	return s
}

// play plays a step.
func (m *meeting) play(ctx context.Context, step Step) error {
	m.options.Say("%s, %v", step.Name, step.For)
	begin := time.Now()
	for _, p := range step.Paths {
		l := m.net.Link(p.Who)
		if p.Way&Down != 0 {
			l.Down.Set(p.settings())
		}
		if p.Way&Up != 0 {
			l.Up.Set(p.settings())
		}
		if p.Address != 0 {
			a := l.Addr().As4()
			a[3] = byte(p.Address)
			if err := l.SetAddr(netip.AddrFrom4(a)); err != nil {
				return err
			}
		}
	}
	if err := m.wait(ctx, begin.Add(step.For)); err != nil {
		return err
	}
	m.result.Spans[step.Name] = Span{begin, begin.Add(step.For)}
	return nil
}

// wait waits until a time, and meanwhile fetches what Bob's page has.
func (m *meeting) wait(ctx context.Context, until time.Time) error {
	const often = 4 * time.Second // rarely, for the browser has better things to do
	for {
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		select {
		case <-time.After(min(left, often)):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := m.fetch(); err != nil {
			return err
		}
	}
}

func (m *meeting) fetch() error {
	if m.bob == nil {
		return nil
	}
	s, err := m.bob.Seen()
	bob := &m.result.Bob
	bob.Pictures = append(bob.Pictures, s.Pictures...)
	bob.Sounds = append(bob.Sounds, s.Sounds...)
	bob.Stats = append(bob.Stats, s.Stats...)
	return err
}

// collect fetches what there is to judge.
func (m *meeting) collect() error {
	for _, l := range m.net.Links() {
		m.result.Trace[l.Name] = Traces{Up: l.Up.Trace(), Down: l.Down.Trace()}
	}
	_, m.result.Late = m.net.Late()
	var err error
	if m.scenario.Flash {
		m.result.Flash, err = m.ann.Flashed()
	}
	return errors.Join(m.fetch(), err)
}

// end takes everything down.
func (m *meeting) end() error {
	var errs []error
	if m.skewed != nil {
		m.skewed.stop()
	}
	for _, w := range m.watchers {
		w.close()
	}
	for _, b := range []*browser.Browser{m.ann, m.bob} {
		if b != nil {
			errs = append(errs, b.Close())
		}
	}
	if m.phone != nil {
		m.phone.Close()
	}
	if m.host != nil {
		errs = append(errs, m.host.Stop())
	}
	if m.net != nil {
		errs = append(errs, m.net.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(m.dir))...)
}

// Judge are the measurements of a scenario, in the order of its targets.
func (r *Result) Judge(s Scenario) (measured []float64) {
	for _, t := range s.Targets {
		measured = append(measured, t.Of(r))
	}
	return measured
}

// Find are the scenarios of these names; all but the long ones if there are none.
func Find(names ...string) ([]Scenario, error) {
	all := All()
	if len(names) == 0 {
		return all, nil
	}
	all = append(all, Long()...)
	var found []Scenario
	for _, n := range names {
		i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == n })
		if i < 0 {
			return nil, fmt.Errorf("there is no scenario %q", n)
		}
		found = append(found, all[i])
	}
	return found, nil
}
