package recordings

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/internal/eventually"
	"rendezvous/recordings/recordingstest"
)

const ms = time.Millisecond

func TestAudioTimeline(t *testing.T) {
	type placed struct {
		from    int64
		silence int
		keep    bool
	}
	for name, c := range map[string]struct {
		at   []time.Duration
		want []placed
	}{
		"steady": {[]time.Duration{0, 20 * ms, 40 * ms}, []placed{{0, 0, true}, {960, 0, true}, {1920, 0, true}}},
		"begins late, on a whole frame": {[]time.Duration{110 * ms, 130 * ms},
			[]placed{{4800, 0, true}, {5760, 0, true}}},
		"a late tick and the burst that makes up for it": {[]time.Duration{0, 100 * ms, 100 * ms, 100 * ms, 100 * ms, 120 * ms},
			[]placed{{0, 0, true}, {960, 0, true}, {1920, 0, true}, {2880, 0, true}, {3840, 0, true}, {4800, 0, true}}},
		"a gap is filled with silence": {[]time.Duration{0, 1020 * ms, 1040 * ms},
			[]placed{{0, 0, true}, {960, 50, true}, {49920, 0, true}}},
		"what comes after its gap was filled is left out": {[]time.Duration{0, 1020 * ms, 1020 * ms, 1020 * ms, 1020 * ms, 1020 * ms, 1020 * ms, 1020 * ms, 1020 * ms},
			[]placed{{0, 0, true}, {960, 50, true}, {49920, 0, true}, {50880, 0, true}, {51840, 0, true}, {52800, 0, true}, {53760, 0, true}, {54720, 0, true}, {55680, 0, false}}},
	} {
		t.Run(name, func(t *testing.T) {
			var line audioTimeline
			var got []placed
			for _, at := range c.at {
				from, silence, keep := line.place(at)
				got = append(got, placed{from, silence, keep})
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestVideoTimeline(t *testing.T) {
	var v videoTimeline
	require.EqualValues(t, 9000, v.place(0xfffffff0, 100*ms))
	require.EqualValues(t, 9000+3600, v.place(0xfffffff0+3600-1<<32, 140*ms), "wraps")
	got := v.place(0xfffffff0+7200-1<<32, 200*ms) // 20 ms late
	require.Greater(t, got, int64(9000+7200))
	require.Less(t, got, int64(9000+7200+1800), "follows an arrival only slowly")
	require.EqualValues(t, 90000*10, v.place(0xfffffff0+10800-1<<32, 10*time.Second), "the clock stood: set anew")
	require.EqualValues(t, 90000*10+1, v.place(0, 9*time.Second), "never backwards")
}

func TestJournal(t *testing.T) {
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	at := func(s int) (time.Duration, time.Time) {
		d := time.Duration(s) * time.Second
		return d, start.Add(d)
	}
	j := newJournal()
	update := func(s int, people ...Person) {
		d, now := at(s)
		j.update(people, d, now)
	}
	ann := Person{ID: "a", Name: "Ann"}
	bob := Person{ID: "b", Name: "Bob"}
	talking := func(p Person) Person { p.Talking = true; return p }
	update(0, ann)
	update(2, talking(ann), bob)
	update(3, talking(ann), talking(bob))
	update(5, ann, talking(bob))
	update(6, bob) // Ann leaves; Bob stops
	update(8, talking(ann), Person{ID: "b", Name: "Robert"})

	presences, speech := j.snapshot(10 * time.Second)
	require.Equal(t, []Presence{
		{ID: "a", Name: "Ann", Joined: start, Left: start.Add(6 * time.Second)},
		{ID: "b", Name: "Robert", Joined: start.Add(2 * time.Second)},
		{ID: "a", Name: "Ann", Joined: start.Add(8 * time.Second)},
	}, presences)
	require.Equal(t, []Speech{{"a", 2, 5}, {"b", 3, 6}, {"a", 8, 10}}, speech)
}

func TestChapters(t *testing.T) {
	people := []Presence{{ID: "a", Name: "Ann"}, {ID: "b", Name: "Bob"}, {ID: "c"}}
	for name, c := range map[string]struct {
		speech []Speech
		want   []Chapter
	}{
		"nobody spoke":                 {nil, []Chapter{}},
		"one":                          {[]Speech{{"a", 1, 20}}, []Chapter{{"Ann", "a", 1, 60}}},
		"a short remark is part of it": {[]Speech{{"a", 0, 10}, {"b", 10, 12}, {"a", 12, 30}, {"b", 31, 59}}, []Chapter{{"Ann", "a", 0, 31}, {"Bob", "b", 31, 60}}},
		"breath":                       {[]Speech{{"a", 0, 3}, {"a", 5, 8}}, []Chapter{{"Ann", "a", 0, 60}}},
		"too short for a chapter":      {[]Speech{{"a", 0, 3}, {"a", 20, 23}}, []Chapter{}},
		"without a name":               {[]Speech{{"c", 0, 10}}, []Chapter{{"c", "c", 0, 60}}},
		"beyond the end":               {[]Speech{{"a", 61, 70}}, []Chapter{}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, chapters(people, c.speech, 60)) })
	}
}

func TestWebVTT(t *testing.T) {
	require.Equal(t, "WEBVTT\n\n1\n00:00:01.500 --> 01:01:01.001\nA --&gt; B &amp; C\n",
		string(webVTT([]Chapter{{Title: "A --> B\n& C", From: 1.5, To: 3661.001}})))
}

func TestExpired(t *testing.T) {
	now := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	list := []Entry{
		{ID: "1", Ended: day(1), Size: 100}, {ID: "2", Ended: day(10), Size: 100}, {ID: "3", Ended: day(30), Size: 100},
	}
	for _, c := range []struct {
		keep Retention
		want []string
	}{
		{Retention{}, nil},
		{Retention{MaxAge: 25 * 24 * time.Hour}, []string{"1"}},
		{Retention{MaxAge: time.Hour}, []string{"1", "2", "3"}},
		{Retention{MaxSize: 300}, nil},
		{Retention{MaxSize: 299}, []string{"1"}},
		{Retention{MaxSize: 100}, []string{"1", "2"}},
		{Retention{MaxSize: 50}, []string{"1", "2", "3"}},
		{Retention{MaxAge: 25 * 24 * time.Hour, MaxSize: 200}, []string{"1"}},
	} {
		got, _ := expired(list, c.keep, now, allowance{aged: 10, newest: true})
		require.Equal(t, c.want, got, "%+v", c.keep)
	}
	for _, c := range []struct {
		keep Retention
		may  allowance
		want []string
		aged int
	}{
		{Retention{MaxAge: time.Hour}, allowance{}, nil, 0},
		{Retention{MaxAge: time.Hour}, allowance{aged: 1, newest: true}, []string{"1"}, 1},
		{Retention{MaxAge: time.Hour}, allowance{aged: 10}, []string{"1", "2"}, 2},
		{Retention{MaxAge: time.Hour, MaxSize: 100}, allowance{}, []string{"1", "2"}, 0},
		{Retention{MaxAge: time.Hour, MaxSize: 200}, allowance{aged: 1}, []string{"1", "2"}, 1},
	} {
		got, aged := expired(list, c.keep, now, c.may)
		require.Equal(t, c.want, got, "%+v", c)
		require.Equal(t, c.aged, aged, "%+v", c)
	}
}

func TestRetentionDeletes(t *testing.T) {
	c := recordingstest.NewClock()
	lib := open(t, t.TempDir(), func(cfg *Config) { cfg.Now = c.Now })
	r := newRoom(t)
	defer r.Close()
	rec, err := lib.Start(request())
	require.NoError(t, err)
	play(t, r, c, rec, time.Second)
	require.NoError(t, rec.Stop())
	require.Len(t, lib.List(""), 1)
	c.Advance(48 * time.Hour)
	lib.SetRetention(Retention{MaxAge: 24 * time.Hour})
	eventually.True(t, "it is not listed", func() bool { return len(lib.List("")) == 0 })
	eventually.True(t, "its folder is gone", func() bool { return !isDir(rec.dir) })
}

func TestQueueDropsTheOldest(t *testing.T) {
	q := newQueue()
	for i := range queueLength + 3 {
		q.put(item{at: time.Duration(i)})
	}
	items, cut := q.take(nil)
	require.Len(t, items, queueLength)
	require.EqualValues(t, 3, items[0].at)
	require.EqualValues(t, 3, q.drops())
	require.False(t, cut, "no picture was lost")
}

func FuzzCatalogue(f *testing.F) {
	f.Add([]byte(`{"recordings":[{"id":"20260101T000000Z-00000000","room":"main","state":"running","files":[{"name":"meeting.mp4"}]}]}`))
	f.Add([]byte(`{"recordings":[{"id":"20260101T000000Z-00000000","room":"main","state":"complete","files":[{"name":"../../etc/passwd"}]}]}`))
	f.Add([]byte(`{"recordings":[null]}`))
	f.Add([]byte(`{"recordings":[],"deleted":[{"id":"20260101T000000Z-00000000","room":"main","state":"complete","files":[{"name":"meeting.mp4"}],"archived":"x"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseCatalogue(data)
		if err != nil {
			return
		}
		maps.Copy(c.entries, c.deleted)
		for _, e := range c.entries {
			for _, file := range e.Files {
				path := filepath.Join("/data", e.Room, e.ID, file.Name)
				if !strings.HasPrefix(path, "/data/"+e.Room+"/"+e.ID+"/") || strings.Count(path, "/") != 4 {
					t.Fatalf("leads out of its folder: %s", path)
				}
			}
		}
	})
}

func FuzzSidecar(f *testing.F) {
	f.Add([]byte(`{"id":"20260101T000000Z-00000000","room":"main","state":"complete","files":[{"name":"meeting.mp4"}],"speech":[{"participant":"a","from":1e300,"to":-1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseSidecar(data)
		if err != nil {
			return
		}
		s.Chapters = chapters(s.Participants, s.Speech, s.Duration)
		webVTT(s.Chapters)
		seconds(s.Duration)
		if _, err := json.Marshal(s); err != nil && !strings.Contains(err.Error(), "year outside") {
			t.Fatal(err)
		}
	})
}

func FuzzScanMP4(f *testing.F) {
	f.Add([]byte{})
	f.Add(box("moof", box("traf", box("trun", make([]byte, 12)))))
	f.Add(append(box("moov", box("trak", box("tkhd", make([]byte, 24)), box("mdia", box("mdhd", make([]byte, 24))))), box("mdat")...))
	if data, err := os.ReadFile("testdata/meeting.mp4"); err == nil {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		whole, duration, err := scanMP4(bytes.NewReader(data), int64(len(data)))
		if err == nil && (whole <= 0 || whole > int64(len(data)) || duration <= 0) {
			t.Fatalf("%d of %d bytes, %v", whole, len(data), duration)
		}
		film, err := survey(t.Context(), bytes.NewReader(data), int64(len(data)))
		at := int64(len(film.head))
		for _, f := range film.fragments {
			if err != nil || f.start < at || f.end <= f.start || f.end > int64(len(data)) {
				t.Fatalf("a fragment from %d to %d of %d bytes after %d, %v", f.start, f.end, len(data), at, err)
			}
			at = f.end
		}
	})
}

// box makes an MP4 box.
func box(kind string, bodies ...[]byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(bytes.Join(bodies, nil))))
	return append(append(b, kind...), bytes.Join(bodies, nil)...)
}
