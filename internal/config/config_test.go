package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"rendezvous/conference/settings"
	"rendezvous/moderation"
)

func TestDefaultsAreValid(t *testing.T) {
	cfg, err := parse("config.yaml", nil, nil)
	require.NoError(t, err)
	want := Default()
	require.Empty(t, Diff(&want, cfg))
}

func TestPrecedence(t *testing.T) {
	text := []byte("data: fromfile\nlog: {level: warn}\nrooms: {team-a: {title: File, max_participants: 7}}\n")
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.String("data", "flagdefault", "")
	byKey := map[string]*pflag.Flag{"data": flags.Lookup("data")}

	cfg, err := parse("config.yaml", text, byKey)
	require.NoError(t, err)
	require.Equal(t, "fromfile", cfg.Data, "a flag that was not given counts for nothing")
	require.Equal(t, "warn", cfg.Log.Level)
	require.Equal(t, moderation.LayoutAuto, cfg.Rooms["team-a"].Layout, "a room starts from settings.Default")
	require.True(t, cfg.Rooms["team-a"].SelfUnmute)

	t.Setenv("RENDEZVOUS_DATA", "fromenv")
	t.Setenv("RENDEZVOUS_DRAIN", "7s")
	t.Setenv("RENDEZVOUS_WEB_ENABLED", "false")
	t.Setenv("RENDEZVOUS_WEB_ORIGINS", "https://a.example, https://b.example")
	t.Setenv("RENDEZVOUS_SIP_RTP_MIN", "30000")
	t.Setenv("RENDEZVOUS_SIP_RTP_MAX", "30100")
	t.Setenv("RENDEZVOUS_RECORDINGS_MAX_SIZE", "2GB")
	t.Setenv("RENDEZVOUS_ROOMS_TEAM_A_TITLE", "Env")
	t.Setenv("RENDEZVOUS_ROOMS_TEAM_A_PIN", "0042")
	cfg, err = parse("config.yaml", text, byKey)
	require.NoError(t, err)
	require.Equal(t, "fromenv", cfg.Data)
	require.Equal(t, 7*time.Second, cfg.Drain)
	require.False(t, cfg.Web.Enabled)
	require.Equal(t, []string{"https://a.example", "https://b.example"}, cfg.Web.Origins)
	require.Equal(t, Ports{30000, 30100}, cfg.SIP.RTP)
	require.Equal(t, Size(2e9), cfg.Recordings.MaxSize)
	require.Equal(t, "Env", cfg.Rooms["team-a"].Title)
	require.Equal(t, "0042", cfg.Rooms["team-a"].PIN, "digits in the environment stay text")
	require.Equal(t, 7, cfg.Rooms["team-a"].MaxParticipants)

	require.NoError(t, flags.Set("data", "fromflag"))
	cfg, err = parse("config.yaml", text, byKey)
	require.NoError(t, err)
	require.Equal(t, "fromflag", cfg.Data)
}

func TestEveryKeyIsAnEnvironmentVariable(t *testing.T) {
	text := "rooms: {x: {}}\npeople: {x: {}}\nwebhooks: {x: {url: 'http://x', secret: 0123456789abcdefg}}\nsip: {users: {x: {password: a0123456789}}, trunks: {x: {registrar: 'sip:r', username: u}}}\napi: {tokens: {x: {secret: 0123456789abcdef}}}\n"
	for _, k := range Keys() {
		name := strings.ReplaceAll(k.Name, wildcard, "x")
		t.Run(name, func(t *testing.T) {
			t.Setenv(Env(name), "not:a/possible value\x01")
			cfg, err := parse("config.yaml", []byte(text), nil)
			if err != nil {
				for _, m := range mistakes(t, err) {
					require.True(t, strings.HasPrefix(m.Text, name+": "), "names the key: %s", m.Text)
					require.Equal(t, Env(name), m.Where)
				}
				return
			}
			base, err := func() (*Config, error) { os.Unsetenv(Env(name)); return parse("config.yaml", []byte(text), nil) }()
			require.NoError(t, err)
			changes := Diff(base, cfg)
			require.Len(t, changes, 1, "the variable sets its key")
			require.Equal(t, name, changes[0].Key)
			require.Equal(t, k.Live, changes[0].Live)
		})
	}
}

func TestRefusals(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for _, c := range []struct{ yaml, want string }{
		// Unknown keys.
		{"lgo: {level: info}", "lgo: unknown key; did you mean log?"},
		{"log: {levle: info}", "log.levle: unknown key; did you mean log.level?"},
		{"web: {tls: {cert: x}}", "web.tls.cert: unknown key"},
		{"rooms: {main: {layuot: grid}}", "rooms.main.layuot: unknown key; did you mean rooms.main.layout?"},
		{"rooms: {main: {roles: {hosts: []}}}", "rooms.main.roles.hosts: unknown key; did you mean rooms.main.roles.host?"},
		{"nothing-like-it: 1", "nothing-like-it: unknown key"},
		{"sip: {rtp: {min: {a: 1}}}", "sip.rtp.min: wants a whole number"},
		// Wrong types.
		{"web: 5", "web: wants a section, that is settings of its own, indented below it"},
		{"rooms: [main]", "rooms: wants a section, that is settings of its own, indented below it"},
		{"rooms: {main: grid}", "rooms.main: wants a section, that is settings of its own, indented below it"},
		{"rooms: {main: }", "rooms.main: has no settings; write {} after it to take the defaults"},
		{"web: {listen: 8080}", `web.listen: wants text (in quotes), not the number 8080`},
		{"web: {enabled: maybe}", `web.enabled: wants true or false, not "maybe"`},
		{"web: {enabled: 1}", `web.enabled: wants true or false, not the number 1`},
		{"web: {origins: {a: b}}", "web.origins: wants a list of texts"},
		{"web: {origins: [1]}", "web.origins: wants a list of texts, not a list with the number 1"},
		{"sip: {rtp: {min: many}}", `sip.rtp.min: wants a whole number, not "many"`},
		{"sip: {rtp: {min: 20000.5}}", `sip.rtp.min: wants a whole number, not the number 20000.5`},
		{"drain: 20", `drain: wants a duration such as "30s" or "1h30m", not the number 20`},
		{"drain: soon", `drain: wants a duration such as "30s" or "1h30m", not "soon"`},
		{"recordings: {max_size: lots}", `recordings.max_size: wants a size such as "500MB" or "20GiB", not "lots"`},
		{"rooms: {main: {pin: 1234}}", "rooms.main.pin: wants text (in quotes)"},
		{"api: {tokens: {bot: {secret: 8402857398273}}}", "api.tokens.bot.secret: wants text (in quotes)"}, // and is not in the log
		// Impossible values.
		{"drain: 0s", "drain: 0s is not between 1s and 1h0m0s"},
		{"log: {level: loud}", `log.level: is one of debug, info, warn, error, not "loud"`},
		{"admin: {listen: 9090}", "admin.listen: wants text (in quotes), not the number 9090"},
		{`admin: {listen: "9090"}`, `admin.listen: "9090" is no address with a port, such as 127.0.0.1:8080 or :8080`},
		{`web: {listen: "127.0.0.1:99999"}`, `web.listen: "99999" is no port`},
		{`web: {listen: ":70000"}`, `web.listen: "70000" is no port`},
		{`web: {media_udp: "8080"}`, `web.media_udp: "8080" is no address with a port, such as 127.0.0.1:8080 or :8080`},
		{`web: {join_secret: short}`, "web.join_secret: wants at least 16 characters"},
		{`web: {listen: "127.0.0.1:9090"}`, "web.listen: 127.0.0.1:9090 is already admin.listen"},
		{`web: {listen: "192.0.2.1:8080"}`, "web.listen: 192.0.2.1:8080 is beyond loopback without TLS: set web.tls or web.acme, or web.plain_http: true behind a proxy that encrypts"},
		{"web: {tls: {certificate: " + missing + "}}", "web.tls.certificate: is set, but web.tls.key is not"},
		{"web: {tls: {certificate: " + missing + ", key: " + missing + "}}", "web.tls.certificate: open " + missing + ": no such file or directory\nweb.tls.key: open " + missing + ": no such file or directory"},
		{"web: {origins: [example.org]}", `web.origins: "example.org" is no origin such as https://meet.example.org`},
		{"web: {public_ips: [here]}", `web.public_ips: "here" is no IP address`},
		{"web: {acme: {http: ':80'}}", "web.acme.http: wants web.acme.domains, the names to get certificates for"},
		{"web: {acme: {domains: [meet]}, listen: ':443'}", `web.acme.domains: "meet" is no name such as meet.example.org`},
		{"web: {acme: {domains: [meet.example.org]}}", "web.acme.domains: the certificate authority comes to port 443, and web.listen is :8080: listen on :443, " +
			"or set web.public_url to https://meet.example.org where a router leads port 443 here, or web.acme.http to :80"},
		{"web: {acme: {domains: [meet.example.org]}, public_url: 'https://meet.example.org:8443', listen: ':443'}",
			"web.acme.domains: the certificate authority comes to port 443, and web.listen is :443: listen on :443, " +
				"or set web.public_url to https://meet.example.org where a router leads port 443 here, or web.acme.http to :80"},
		{"web: {acme: {domains: [meet.example.org], http: ':8080'}}", "web.acme.http: :8080 is already web.listen"},
		{"telemetry: {endpoint: 'localhost:4318'}", `telemetry.endpoint: "localhost:4318" is no web address such as https://meet.example.org`},
		{"web: {ice: {servers: [example.org]}}", `web.ice.servers: "example.org" is no STUN or TURN address such as turn:turn.example.org:3478`},
		{`sip: {udp: "", tcp: "", tls: ""}`, "sip.udp: with sip.tcp and sip.tls empty too, nobody can call; set one, or sip.enabled: false"},
		{"sip: {rtp: {min: 30000}}", "sip.rtp.max: 20999 leaves no room above sip.rtp.min 30000: a call takes up to four ports"},
		{"sip: {srtp: maybe}", `sip.srtp: is one of off, optional, required, not "maybe"`},
		{"sip: {users: {a: {password: short}}}", `sip.users.a.password: wants at least 10 characters: whoever reaches the port may try`},
		{"sip: {trunks: {a: {username: u}}}", `sip.trunks.a.registrar: "" is no SIP address such as sip:sip.example.org;transport=tcp`},
		{"sip: {trunks: {a: {registrar: 'sip:r', username: u, room: b}}}", `sip.trunks.a.room: there is no room "b"`},
		{"sip: {media_timeout: 0s}", "sip.media_timeout: 0s is not between 1s and 24h0m0s"},
		{"sip: {session_expires: 1m}", "sip.session_expires: 1m0s is less than the 90s that RFC 4028 allows; 0s asks for none"},
		{"sip: {audio: []}", "sip.audio: wants at least one codec"},
		{"sip: {video: [AV1]}", `sip.video: is one of H264, VP8, not "AV1"`},
		{"sip: {trusted: [lan]}", `sip.trusted: "lan" is neither an IP address nor a network such as 10.0.0.0/8`},
		{"jami: {enabled: true, bootstrap: [example.org]}", `jami.bootstrap: "example.org" is no host:port`},
		{"jami: {enabled: true, turn: ['host:1']}", "jami.turn: wants user:password@host:port"},
		{"jami: {enabled: true, rtp: {min: 4000}}", "jami.rtp.max: 0 is no end of a range from 4000"},
		{"media: {canvas: 1281x720}", "media.canvas: 1281x720: wants even numbers between 160x90 and 3840x2160"},
		{"media: {rungs: [1920x1080@30:3M]}", "media.rungs: 1920x1080@30:3M is larger than media.canvas 1280x720"},
		{"media: {rungs: ['320x180@15:180k', '640x360@30:600k']}", "media.rungs: 640x360@30:600k comes after 320x180@15:180k; the best goes first"},
		{"media: {rungs: ['640x360@30:600k-300k-900k']}", `media.rungs: "640x360@30:600k-300k-900k": wants one bit rate, or three that grow, such as 300k-600k-900k`},
		{"media: {rungs: ['640x360@30:300k-600k']}", `media.rungs: "640x360@30:300k-600k": wants one bit rate, or three that grow, such as 300k-600k-900k`},
		{"media: {voice: '-f /etc/passwd'}", `media.voice: "-f /etc/passwd" is no voice of espeak-ng such as en or de`},
		{"media: {rungs: []}", "media.rungs: wants 1 to 8 qualities, not 0"},
		{"recordings: {fragment: 10s}", "recordings.fragment: 10s is not between 200ms and 2s"},
		{"recordings: {max_age: -1h}", "recordings.max_age: cannot be negative"},
		{"rooms: {Main_Room: {}}", "rooms.main_room: a name wants letters a-z, digits and dashes, at most 63"},
		{"rooms: {a: {pin: 'abc'}}", "rooms.a.pin: wants at most 32 digits, which a phone can dial"},
		{"rooms: {a: {pin: '1', moderator_pin: '1'}}", "rooms.a.moderator_pin: is the same as pin; everybody would be a moderator"},
		{"rooms: {a: {number: '1'}, b: {number: '1'}}", `rooms.b.number: 1 is the number of room "a" already`},
		{"rooms: {a: {layout: round}}", `rooms.a.layout: is one of auto, grid, one-big, one-big-with-small, side-by-side, not "round"`},
		{"rooms: {a: {from: tomorrow}}", `rooms.a.from: "tomorrow" is no point in time such as 2026-12-24T18:00:00+01:00`},
		{"rooms: {a: {from: '2026-12-24T18:00:00Z', until: '2026-12-24T18:00:00Z'}}", "rooms.a.until: 2026-12-24T18:00:00Z is not after from"},
		{"rooms: {a: {roles: {default: moderator}}}", `rooms.a.roles.default: is one of listener, speaker, not "moderator"`},
		{"people: {bob: {identities: ['web:x']}, eve: {identities: ['web:x']}}", `people.eve.identities: web:x is "bob" already`},
		{"rooms: {a: {max_participants: -1}}", "rooms.a.max_participants: -1 is not between 0 and 10000"},
		{"rooms: {a: {echo: always}}", `rooms.a.echo: is one of notify, mute, off, not "always"`},
		{"rooms: {a: {recording: sometimes}}", `rooms.a.recording: is one of off, on-demand, auto, always, not "sometimes"`},
		{"rooms: {a: {roles: {host: [bob]}}}", `rooms.a.roles.host: "bob" is no identity such as jami:<40 hex digits>, sip:user@host or web:<subject>`},
		{"rooms: {a: {roles: {host: ['web:x'], observer: ['web:x']}}}", "rooms.a.roles.observer: web:x has the role host already"},
		{"api: {tokens: {bot: {secret: 0123456789abcdefg, scopes: [all]}}}", `api.tokens.bot.scopes: is one of rooms:read, rooms:write, orders, chat, recordings:read, recordings:write, contacts:read, contacts:write, not "all"`},
		{"webhooks: {a: {secret: 0123456789abcdefg}}", "webhooks.a.url: wants a web address such as https://example.org/hook"},
		{"webhooks: {a: {url: 'http://x', secret: short}}", "webhooks.a.secret: wants at least 16 characters"},
		{"webhooks: {a: {url: 'http://x', secret: 0123456789abcdefg, events: [join]}}", "webhooks.a.events: is one of meeting.began, meeting.ended, participant.waiting, participant.joined, participant.left, recording.started, recording.stopped, recording.failed, recording.done, order, chat, not \"join\""},
		{"api: {tokens: {bot: {secret: short}}}", "api.tokens.bot.secret: wants at least 16 characters"},
		// No YAML.
		{"web: [", "did not find expected node content"},
		{"web:\n\tlisten: x", "found character that cannot start any token"},
		{"just text", "wants keys with values, such as data: /var/lib/rendezvous"},
		{"drain: 5s\ndrain: 6s", "drain: stands on line 1 already"},
	} {
		t.Run(c.yaml, func(t *testing.T) {
			_, err := parse("config.yaml", []byte(c.yaml), nil)
			var got []string
			for _, m := range mistakes(t, err) {
				got = append(got, m.Text)
				require.Regexp(t, `^config.yaml:[12]$`, m.Where)
			}
			require.Equal(t, c.want, strings.Join(got, "\n"))
		})
	}
}

// mistakes are what parse has to say.
func mistakes(t *testing.T, err error) Mistakes {
	t.Helper()
	m, ok := errors.AsType[Mistakes](err)
	if !ok || len(m) == 0 {
		t.Fatalf("%v is no list of mistakes", err)
	}
	return m
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	t.Setenv("RENDEZVOUS_DRAIN", "soon")
	t.Setenv("RENDEZVOUS_WEB_LISTNE", ":80")
	t.Setenv("RENDEZVOUS_ROOMS_SIDE_PIN", "1")
	t.Setenv("RENDEZVOUS_COLOUR", "blue")
	t.Setenv("RENDEZVOUS_PORT_8080_TCP", "tcp://10.0.0.1:8080") // Kubernetes' of a service of this name
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.String("admin-listen", "", "")
	require.NoError(t, flags.Set("admin-listen", "9090"))

	_, err := parse("config.yaml", []byte(strings.Join([]string{
		"data: ''",                     // 1
		"web:",                         // 2
		"  enabled: maybe",             // 3
		"  origins: [1, 2]",            // 4
		"  lisen: ':80'",               // 5
		"  tls: on",                    // 6
		"drain: 20s",                   // 7
		"sip:",                         // 8
		"  rtp: {min: many, max: 12}",  // 9
		"  video: [AV1, H264, H266]",   // 10
		"  users: {bob: {password: }}", // 11
		"rooms:",                       // 12
		"  main:",                      // 13
		"    title: A",                 // 14
		"    title: B",                 // 15
		"    pin: 1234",                // 16
		"    layout: round",            // 17
		"    max_participants: -1",     // 18
		"    from: tomorrow",           // 19
	}, "\n")), map[string]*pflag.Flag{"admin.listen": flags.Lookup("admin-listen")})
	require.EqualError(t, err, strings.Join([]string{
		`config.yaml:1: data: wants the path of a folder`,
		`config.yaml:3: web.enabled: wants true or false, not "maybe"`,
		`config.yaml:4: web.origins: wants a list of texts, not a list with the number 1`,
		`config.yaml:5: web.lisen: unknown key; did you mean web.listen?`,
		`config.yaml:6: web.tls: wants a section, that is settings of its own, indented below it`,
		`config.yaml:9: sip.rtp.min: wants a whole number, not "many"`,
		`config.yaml:9: sip.rtp.max: 12 is not between 1024 and 65535`,
		`config.yaml:10: sip.video: is one of H264, VP8, not "AV1"`,
		`config.yaml:10: sip.video: is one of H264, VP8, not "H266"`,
		`config.yaml:11: sip.users.bob.password: wants at least 10 characters: whoever reaches the port may try`,
		`config.yaml:15: rooms.main.title: stands on line 14 already`,
		`config.yaml:16: rooms.main.pin: wants text (in quotes)`,
		`config.yaml:17: rooms.main.layout: is one of auto, grid, one-big, one-big-with-small, side-by-side, not "round"`,
		`config.yaml:18: rooms.main.max_participants: -1 is not between 0 and 10000`,
		`config.yaml:19: rooms.main.from: "tomorrow" is no point in time such as 2026-12-24T18:00:00+01:00`,
		`--admin-listen: admin.listen: "9090" is no address with a port, such as 127.0.0.1:8080 or :8080`,
		`RENDEZVOUS_DRAIN: drain: wants a duration such as "30s" or "1h30m", not "soon"`,
		`environment: RENDEZVOUS_COLOUR: unknown variable`,
		`environment: RENDEZVOUS_ROOMS_SIDE_PIN: would set rooms.<name>.pin, but the file has no such name in rooms`,
		`environment: RENDEZVOUS_WEB_LISTNE: unknown variable; did you mean RENDEZVOUS_WEB_LISTEN?`,
	}, "\n"))
}

func TestAnEmptyVariableSwitchesOff(t *testing.T) {
	t.Setenv("RENDEZVOUS_SIP_TLS", "")
	t.Setenv("RENDEZVOUS_JAMI_STUN", "")
	t.Setenv("RENDEZVOUS_ROOMS_MAIN_PIN", "")
	cfg, err := parse("config.yaml", []byte("rooms: {main: {pin: '1234'}}"), nil)
	require.NoError(t, err)
	require.Empty(t, cfg.SIP.TLS)
	require.Empty(t, cfg.Jami.STUN)
	require.Empty(t, cfg.Rooms["main"].PIN)
}

func TestAnchorsAndMerges(t *testing.T) {
	cfg, err := parse("config.yaml", []byte("rooms:\n  a: &quiet {lobby: true, title: A}\n  b: {<<: *quiet, title: B}\n  1: *quiet\n"), nil)
	require.NoError(t, err)
	require.True(t, cfg.Rooms["b"].Lobby)
	require.Equal(t, "B", cfg.Rooms["b"].Title)
	require.Equal(t, "A", cfg.Rooms["1"].Title)
}

func TestLoadNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(Source{File: filepath.Join(dir, "config.yaml")})
	require.EqualError(t, err, filepath.Join(dir, "config.yaml")+": no such file; name one with --config")

	file := filepath.Join(dir, "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("colour: blue"), 0o600))
	_, err = Load(Source{File: file})
	require.EqualError(t, err, "config.yaml:1: colour: unknown key")
}

func TestDataFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	data, err := DataFolder(file)
	require.Error(t, err)
	require.Equal(t, "data", data)
	require.NoError(t, os.WriteFile(file, []byte("data: /srv/meetings\ncolour: blue"), 0o600))
	data, err = DataFolder(file)
	require.NoError(t, err, "mistakes elsewhere do not matter")
	require.Equal(t, "/srv/meetings", data)
	t.Setenv("RENDEZVOUS_DATA", "elsewhere")
	data, err = DataFolder(file)
	require.NoError(t, err)
	require.Equal(t, "elsewhere", data)
}

func TestSizesAndDurations(t *testing.T) {
	cfg, err := parse("config.yaml", []byte("recordings: {max_age: 30d, max_size: 1.5GiB, min_free: 1000, fragment: 500ms}"), nil)
	require.NoError(t, err)
	require.Equal(t, Recordings{
		Dir: "recordings", Fragment: 500 * time.Millisecond, MinFree: 1000, MaxAge: 30 * 24 * time.Hour, MaxSize: 3 << 29,
	}, cfg.Recordings)
}

func TestOldWords(t *testing.T) {
	cfg, err := parse("config.yaml", []byte("rooms: {a: {recording: never}, b: {recording: off, lobby_timeout: 1d, max_duration: 0}}"), nil)
	require.NoError(t, err)
	require.Equal(t, moderation.RecordNever, cfg.Rooms["a"].Recording)
	require.Equal(t, moderation.RecordNever, cfg.Rooms["b"].Recording)
	require.Equal(t, settings.Duration(24*time.Hour), cfg.Rooms["b"].LobbyTimeout)
	require.Equal(t, "b", cfg.Rooms["b"].ID)
}

func TestDiffAndLive(t *testing.T) {
	parsed := func(text string) *Config {
		t.Helper()
		cfg, err := parse("config.yaml", []byte(text), nil)
		require.NoError(t, err)
		return cfg
	}
	before := parsed("log: {level: info}\nrooms: {a: {title: A}, b: {title: B}}")
	after := parsed("log: {level: debug}\nweb: {listen: '127.0.0.1:8081'}\nrooms: {a: {title: AA}, c: {title: C}}")
	require.Equal(t, []Change{
		{"log.level", true}, {"rooms.a.title", true}, {"rooms.b", true}, {"rooms.c", true}, {"web.listen", false},
	}, Diff(before, after))

	now := Live(before, after)
	require.Equal(t, "debug", now.Log.Level)
	require.Equal(t, ":8080", now.Web.Listen)
	require.Equal(t, after.Rooms, now.Rooms)
	require.Equal(t, "info", before.Log.Level, "before is not written")
	require.Equal(t, []Change{{"web.listen", false}}, Diff(now, after))
}

func TestSecretsAreNotPrinted(t *testing.T) {
	tok := Token{Secret: "0123456789abcdef"}
	for _, text := range []string{tok.Secret.String(), tok.Secret.GoString(), tok.Secret.LogValue().String()} {
		require.Equal(t, "***", text)
	}
}

func TestDefaultMemberKnowsEveryNamedSection(t *testing.T) {
	for _, section := range newSchema().named {
		require.Equal(t, reflect.Struct, reflect.TypeOf(defaultMember(section)).Kind())
	}
}

func TestParseRung(t *testing.T) {
	for text, want := range map[string]Rung{
		"640x360@30:600k":           {640, 360, 30, 300_000, 600_000, 900_000},
		"1280x720@25:0.9M-1800k-2M": {1280, 720, 25, 900_000, 1_800_000, 2_000_000},
	} {
		r, err := ParseRung(text)
		require.NoError(t, err)
		require.Equal(t, want, r, text)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "web: {listen: 1}", "rooms: {a: {title: x, roles: {host: ['web:x']}}}", "a: &a [*a]",
		"rooms: {1: {}}", "? [a]: b", "~: 1", "!!binary aGk=: 1", "a: &a {b: 1}\nweb: *a", "web: {<<: {listen: ':1'}}", "'': 1", "web: {tls: &t {key: x}}\nsip: *t", "rooms: {a.b: {c: d}}", "sip: {trunks: {a: }}", "web.listen: x", "media: {rungs: [1x1@1:1]}", "log: !!binary aGk="} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, err := parse("config.yaml", text, nil)
		if err != nil {
			for _, m := range mistakes(t, err) {
				if strings.Contains(m.Error(), "\n") || m.Text == "" {
					t.Fatalf("mistake of more or less than one line: %q", m)
				}
			}
			return
		}
		if err := cfg.check(); err != nil {
			t.Fatalf("accepted what cannot be: %v", err)
		}
		if c := Diff(cfg, cfg); len(c) > 0 {
			t.Fatalf("differs from itself: %v", c)
		}
	})
}
