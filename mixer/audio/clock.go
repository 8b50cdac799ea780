package audio

import "time"

// maxCatchUp is how many ticks are made up for at once when the clock was held up; the rest is skipped.
const maxCatchUp = 10

// run ticks every FrameDuration, by elapsed time, until stop is closed.
func (b *Bus) run(stop <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	defer b.dropClips()
	b.mix.workers.start()
	defer b.mix.workers.stop()
	defer b.mix.close()

	due := time.Now().Add(FrameDuration)
	timer := time.NewTimer(FrameDuration)
	defer timer.Stop()
	for {
		select {
		case <-stop:
			return
		case <-timer.C:
		}
		now := time.Now()
		if behind := now.Sub(due) / FrameDuration; behind >= maxCatchUp {
			skip := behind - maxCatchUp + 1
			due = due.Add(skip * FrameDuration)
			b.cfg.Metrics.skipped.Add(float64(skip))
		}
		late := now.Sub(due)
		b.cfg.Metrics.lateness.Observe(late.Seconds())
		if b.cfg.Late != nil {
			b.cfg.Late(late)
		}
		if late >= FrameDuration {
			b.cfg.Metrics.caughtUp.Inc()
		}
		b.tick()
		took := time.Since(now)
		b.cfg.Metrics.tickTime.Observe(took.Seconds())
		if b.cfg.Worked != nil {
			b.cfg.Worked(took)
		}
		due = due.Add(FrameDuration)
		timer.Reset(time.Until(due))
	}
}
