package swarm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/gitwire"
	"rendezvous/swarm/pack"
	"rendezvous/swarm/repo"
)

// Fetch gets what a device has of a conversation, soon.
func (s *Swarm) Fetch(p Peer, conversation string) {
	key := jobKey{p.Device.Long, conversation}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.conversations[conversation] == nil || p.Device.Long == s.device.Long {
		return
	}
	j := s.jobs[key]
	if j == nil {
		j = &job{wake: make(chan struct{}, 1)}
		s.jobs[key] = j
	}
	if j.running {
		j.again = true
		select {
		case j.wake <- struct{}{}:
		default:
		}
		return
	}
	j.running = true
	s.wg.Go(func() { s.runJob(p, key, j) })
}

// fetchBack is how long after a device fetched from us we look what it has.
const fetchBack = 400 * time.Millisecond

// fetchSoon fetches from a device that just fetched from us. Daemons of 2023 do
// not announce their merges, nor to those whose joining they had not heard of:
// what such a device said meanwhile would only come with its next word.
func (s *Swarm) fetchSoon(p Peer, conversation string) {
	key := jobKey{p.Device.Long, conversation}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.soon[key] {
		return
	}
	s.soon[key] = true
	s.wg.Go(func() {
		s.sleep(fetchBack)
		s.mu.Lock()
		delete(s.soon, key)
		s.mu.Unlock()
		s.Fetch(p, conversation)
	})
}

func (s *Swarm) runJob(p Peer, key jobKey, j *job) {
	for {
		err := s.fetch(p, key.conversation, j)
		if err != nil {
			s.log.Info("swarm: fetch", "conversation", key.conversation, "from", p.Account, "device", p.Device, "error", err)
			s.settle(p, key.conversation, j)
		}
		s.mu.Lock()
		switch {
		case s.closed:
		case j.again:
			j.again = false
			s.mu.Unlock()
			continue
		case j.apart != nil:
			s.mu.Unlock()
			j.wait(s.ctx, j.apart.until.Sub(s.cfg.Now()))
			continue
		}
		j.running = false
		if j.client == nil {
			delete(s.jobs, key)
		}
		s.mu.Unlock()
		return
	}
}

// fetch gets and integrates once, with a second try if the channel had died.
func (s *Swarm) fetch(p Peer, conversation string, j *job) error {
	c := s.Conversation(conversation)
	if c == nil || !c.repo.MayRead(p.Account, p.Device.Long) {
		return errors.New("not a member")
	}
	if err := c.repo.Damaged(); err != nil {
		s.nudge(p, conversation)
		return err
	}
	if wait := s.refusedUntil(p, conversation).Sub(s.cfg.Now()); wait > 0 {
		return fmt.Errorf("its history was refused, and is not fetched for %v", wait.Round(time.Second))
	}
	select {
	case s.fetching <- struct{}{}:
	case <-s.ctx.Done():
		return nil
	}
	defer func() { <-s.fetching }()
	for {
		used := j.client != nil
		err := s.fetchOnce(p, c, j)
		if err == nil {
			s.cfg.Metrics.fetch("done")
			return nil
		}
		if errors.Is(err, repo.ErrDamaged) { // our copy: the fault is not theirs
			s.cfg.Metrics.fetch("failed")
			return err
		}
		if errors.Is(err, repo.ErrInvalid) {
			s.cfg.Metrics.fetch("refused")
			s.cfg.Metrics.refuse()
			s.refuse(p, conversation)
			s.log.Warn("swarm: history refused", "conversation", conversation, "from", p.Account, "error", err)
			return err
		}
		if errors.Is(err, repo.ErrFull) {
			s.refuse(p, conversation)
			s.cfg.Metrics.fetch("failed")
			return err
		}
		if j.client != nil {
			j.client.Close()
			j.client = nil
		}
		if !used || s.ctx.Err() != nil {
			s.cfg.Metrics.fetch("failed")
			return err
		}
	}
}

// Whoever serves a history that breaks the rules is not fetched from for a while, which doubles: what they send costs
// us up to a whole fetch each time, and they need only say that there is news.
const (
	firstRefusal   = 5 * time.Second
	longestRefusal = time.Hour
)

// refusal is how long nothing is fetched from a member after what they served.
type refusal struct {
	wait  time.Duration
	until time.Time
}

// memberKey is a member of a conversation, with whichever device.
type memberKey struct {
	account      value.Key
	conversation string
}

func (s *Swarm) refusedUntil(p Peer, conversation string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refusals[memberKey{p.Account, conversation}].until
}

func (s *Swarm) refuse(p Peer, conversation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, now := memberKey{p.Account, conversation}, s.cfg.Now()
	r := s.refusals[key]
	if r.wait = min(max(2*r.wait, firstRefusal), longestRefusal); now.Sub(r.until) > 24*longestRefusal {
		r.wait = firstRefusal
	}
	r.until = now.Add(r.wait)
	s.refusals[key] = r // members are bounded by the rules of the conversation
}

func (s *Swarm) fetchOnce(p Peer, c *Conversation, j *job) error {
	if j.client == nil {
		var err error
		if j.client, err = s.openGit(p.Device, c.ID()); err != nil {
			return err
		}
	}
	client := j.client // j is the job's, the function below is not
	stop := context.AfterFunc(s.ctx, func() { client.Close() })
	defer stop()
	head, objects, err := client.Fetch(p.Device.Long.String(), c.ID(), c.repo, s.cfg.Limits, s.progress(c.ID()))
	if err != nil {
		return err
	}
	s.hold(p, c.ID(), head)
	return s.integrate(p, c, j, line{head: head, objects: objects})
}

// integrate takes a fetched line of history in, or puts it aside until it is
// time to merge it.
func (s *Swarm) integrate(p Peer, c *Conversation, j *job, l line) error {
	aside := j.apart
	j.apart = nil
	c.order.Lock()
	out, err := c.repo.Integrate(l.head, l.objects, func(more []repo.Entry) bool {
		now := s.cfg.Now()
		if l.until = now.Add(patienceFor(more)); aside != nil && aside.until.Before(l.until) {
			l.until = aside.until
		}
		if !l.until.After(now) || s.ctx.Err() != nil {
			return true
		}
		j.apart = &l
		return false
	})
	c.tell(out.New)
	c.order.Unlock()
	if err != nil || len(out.New) == 0 {
		return err
	}
	s.welcome(c.ID(), out.New)
	// Others may not have heard of it: daemons announce to some members only. Of
	// a merge the device that it came from is to hear as well.
	except := p.Device.Long
	if out.Merged != nil {
		except = value.LongID{}
	}
	s.announce(c, except)
	return nil
}

// line is what was fetched of a history that has parted from ours, and when it
// is to be merged at last.
type line struct {
	head    plumbing.Hash
	objects map[plumbing.Hash]pack.Object
	until   time.Time
}

// When both sides have written, either may merge, but if both do at the same time
// then the two merges part the history anew, and three or more devices can go on
// like that for long. Daemons merge whatever they fetch, at once. So we give the
// other the time to fetch ours, and look again what it has: if it has merged, we
// only follow. There is another reason. A daemon that gets our messages in a
// merge with its own newest may show none of them to its user: it shows what it
// finds on the way from its new head to the common ancestor, by time, and with two
// common ancestors it takes one and stops there.
//
// A line that has nothing to read but merges can wait longer. One that changes
// who is a member cannot wait.
const (
	messagePatience = 500 * time.Millisecond
	mergePatience   = 3 * time.Second
)

// patienceFor is how long a line with these commits may wait to be merged. It is
// random, that of two who wait one be first.
func patienceFor(more []repo.Entry) time.Duration {
	wait := mergePatience
	for _, e := range more {
		switch e.Message.Type {
		case commit.TypeMerge:
		case commit.TypeInitial, commit.TypeMember, commit.TypeVote, commit.TypeUpdateProfile:
			return 0
		default:
			wait = messagePatience
		}
	}
	return wait + rand.N(2*wait)
}

// settle merges what was put aside, because the device it came from is away now.
func (s *Swarm) settle(p Peer, conversation string, j *job) {
	c := s.Conversation(conversation)
	if j.apart == nil || c == nil || s.ctx.Err() != nil {
		j.apart = nil
		return
	}
	l := *j.apart
	j.apart.until = time.Time{}
	if err := s.integrate(p, c, j, l); err != nil {
		s.log.Warn("swarm: merging", "conversation", conversation, "from", p.Account, "error", err)
	}
}

func (s *Swarm) openGit(device identity.KeyIDs, conversation string) (*gitwire.Client, error) {
	ctx, cancel := context.WithTimeout(s.ctx, openTime)
	defer cancel()
	ch, err := s.cfg.Network.OpenChannel(ctx, device, "git://"+device.Long.String()+"/"+conversation)
	if err != nil {
		return nil, err
	}
	return gitwire.NewClient(ch), nil
}

func (s *Swarm) progress(conversation string) func(done, total int) {
	if s.cfg.OnProgress == nil {
		return nil
	}
	return func(done, total int) { s.cfg.OnProgress(conversation, done, total) }
}

// jobKey is a conversation at a device.
type jobKey struct {
	device       value.LongID
	conversation string
}

// job is the fetching of a conversation from a device: one at a time, and once
// more if it was asked for meanwhile.
type job struct {
	running, again bool
	wake           chan struct{} // cap 1: again was set

	// Only the running job uses the rest.
	client *gitwire.Client // its channel stays open
	apart  *line           // fetched, not merged yet
}

// wait waits, until somebody asks again.
func (j *job) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-j.wake:
	case <-ctx.Done():
	}
}
