package srtp

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/pion/rtcp"
	"github.com/pion/srtp/v2"
	"github.com/stretchr/testify/require"

	"rendezvous/signalling/sdes"
)

var suites = []sdes.Suite{sdes.AES128CM80, sdes.AES128CM32, sdes.AES128GCM, sdes.AES256GCM}

// newMaster makes a key as Jami's daemons do.
func newMaster() sdes.Crypto { return sdes.New(1, sdes.AES128CM80) }

// receiver returns one with a key.
func receiver(t testing.TB, key sdes.Crypto) *Receiver {
	t.Helper()
	var r Receiver
	require.NoError(t, r.Replace(key))
	return &r
}

func plain(ssrc uint32, seq uint16) []byte {
	b := []byte{0x80, 96, byte(seq >> 8), byte(seq), 0, 0, 0, 1}
	return append(binary.BigEndian.AppendUint32(b, ssrc), "a piece of sound"...)
}

// from encrypts a packet with a sender's context.
func from(t testing.TB, sender *srtp.Context, ssrc uint32, seq uint16) []byte {
	t.Helper()
	out, err := sender.EncryptRTP(nil, plain(ssrc, seq), nil)
	require.NoError(t, err)
	return out
}

func reports(t testing.TB, ssrc uint32) []byte {
	t.Helper()
	b, err := (&rtcp.ReceiverReport{SSRC: ssrc}).Marshal()
	require.NoError(t, err)
	return b
}

func TestPacketsAndReports(t *testing.T) {
	for _, suite := range suites {
		t.Run(string(suite), func(t *testing.T) {
			key := sdes.New(1, suite)
			var s Sender
			require.NoError(t, s.SetKey(key))
			r := receiver(t, key)
			other := receiver(t, sdes.New(1, suite))
			for seq := range uint16(3) {
				packet, err := s.RTP(plain(7, seq))
				require.NoError(t, err)
				require.NotContains(t, string(packet), "sound")
				_, err = other.RTP(nil, packet)
				require.ErrorIs(t, err, ErrNotAuthentic)
				got, err := r.RTP(make([]byte, 0, 100), packet)
				require.NoError(t, err)
				require.Equal(t, plain(7, seq), got)

				report, err := s.RTCP(reports(t, 7))
				require.NoError(t, err)
				_, err = other.RTCP(report)
				require.ErrorIs(t, err, ErrNotAuthentic)
				got, err = r.RTCP(report)
				require.NoError(t, err)
				require.Equal(t, reports(t, 7), got)
				_, err = r.RTCP(report)
				require.ErrorIs(t, err, ErrNotAuthentic, "the same again")
			}
		})
	}
}

// Without a key nothing is sent, as if it were encrypted, or believed.
func TestWithoutKey(t *testing.T) {
	var s Sender
	require.False(t, s.Secure())
	_, err := s.RTP(plain(1, 1))
	require.Error(t, err)
	_, err = s.RTCP(reports(t, 1))
	require.Error(t, err)
	var r Receiver
	require.False(t, r.Secure())
	_, err = r.RTP(nil, plain(1, 1))
	require.ErrorIs(t, err, ErrNotAuthentic)
	_, err = r.RTCP(reports(t, 1))
	require.ErrorIs(t, err, ErrNotAuthentic)
}

// A key in use goes on with its counters: what is encrypted is no replay.
func TestSenderGoesOn(t *testing.T) {
	key := newMaster()
	var s Sender
	r := receiver(t, key)
	for seq := range uint16(3) {
		require.NoError(t, s.SetKey(key))
		require.NoError(t, r.Add(key))
		packet, err := s.RTP(plain(7, seq))
		require.NoError(t, err)
		_, err = r.RTP(nil, packet)
		require.NoError(t, err)
		report, err := s.RTCP(reports(t, 7))
		require.NoError(t, err)
		_, err = r.RTCP(report)
		require.NoError(t, err)
	}
	require.NoError(t, s.SetKey(sdes.Crypto{}))
	require.False(t, s.Secure())
	require.NoError(t, r.Replace(sdes.Crypto{}))
	require.False(t, r.Secure())
}

// jamid keeps one rollover counter for all SSRCs of a medium, and goes on with its old key
// after a renegotiation without new ICE.
func TestReceiverFollowsJamid(t *testing.T) {
	old, next := newMaster(), newMaster()
	sender, err := newContext(old)
	require.NoError(t, err)
	packet := func(ssrc uint32, seq uint16, roc uint32) []byte {
		sender.SetROC(ssrc, roc)
		return from(t, sender, ssrc, seq)
	}
	r := receiver(t, old)
	open := func(what string, b []byte) {
		t.Helper()
		_, err := r.RTP(nil, b)
		require.NoError(t, err, what)
	}
	open("first", packet(1, 65534, 0))
	open("before the wrap", packet(1, 65535, 0))
	open("after the wrap", packet(1, 0, 1))
	open("new SSRC, counter goes on", packet(2, 1, 1))
	require.NoError(t, r.Add(next))
	open("old key after an exchange", packet(2, 2, 1))
	late := packet(2, 3, 1)
	sender, err = newContext(next)
	require.NoError(t, err)
	open("new key", packet(3, 3, 0))
	require.Len(t, r.keys, 1, "the old key is forgotten when the newer one is used")
	_, err = r.RTP(nil, late)
	require.ErrorIs(t, err, ErrNotAuthentic)
}

// However often keys are exchanged, the one that the peer goes on with stays, beside the newest.
func TestKeysHaveABound(t *testing.T) {
	used := newMaster()
	r := receiver(t, used)
	sender, err := newContext(used)
	require.NoError(t, err)
	seq := uint16(0)
	send := func() {
		t.Helper()
		seq++
		_, err := r.RTP(nil, from(t, sender, 7, seq))
		require.NoError(t, err)
	}
	send()
	var newest sdes.Crypto
	for range 10 {
		newest = newMaster()
		require.NoError(t, r.Add(newest))
		require.LessOrEqual(t, len(r.keys), maxKeys)
		send()
	}
	sender, err = newContext(newest)
	require.NoError(t, err)
	report, err := sender.EncryptRTCP(nil, reports(t, 7), nil)
	require.NoError(t, err)
	_, err = r.RTCP(report)
	require.NoError(t, err)
	require.Len(t, r.keys, maxKeys, "reports end no key")
	send()
	require.Len(t, r.keys, 1)
}

// Who goes back to a key that is still known cannot have old packets believed again.
func TestKeyAgreedAgain(t *testing.T) {
	a, b := newMaster(), newMaster()
	r := receiver(t, a)
	sender, err := newContext(a)
	require.NoError(t, err)
	old := from(t, sender, 7, 1)
	_, err = r.RTP(nil, old)
	require.NoError(t, err)
	require.NoError(t, r.Add(b))
	require.NoError(t, r.Add(a))
	_, err = r.RTP(nil, old)
	require.ErrorIs(t, err, ErrNotAuthentic)
	_, err = r.RTP(nil, from(t, sender, 7, 2))
	require.NoError(t, err)
	require.Len(t, r.keys, 1)
	require.NoError(t, r.Replace(a))
	_, err = r.RTP(nil, old)
	require.ErrorIs(t, err, ErrNotAuthentic)
}

// New ICE takes a new key, and nothing else.
func TestReplacedKey(t *testing.T) {
	a := newMaster()
	r := receiver(t, a)
	sender, err := newContext(a)
	require.NoError(t, err)
	require.NoError(t, r.Add(newMaster()))
	require.NoError(t, r.Replace(newMaster()))
	_, err = r.RTP(nil, from(t, sender, 7, 1))
	require.ErrorIs(t, err, ErrNotAuthentic)
}

// A packet that somebody has copied is believed once, also when another SSRC has come since.
func TestReplayedMedia(t *testing.T) {
	master := newMaster()
	sender, err := newContext(master)
	require.NoError(t, err)
	r := receiver(t, master)
	one, two := from(t, sender, 1, 100), from(t, sender, 2, 101)
	_, err = r.RTP(nil, one)
	require.NoError(t, err)
	late := from(t, sender, 1, 90)
	_, err = r.RTP(nil, late)
	require.NoError(t, err, "overtaken")
	for range 2 {
		_, err = r.RTP(nil, one)
		require.ErrorIs(t, err, ErrNotAuthentic, "the first again")
	}
	_, err = r.RTP(nil, two)
	require.NoError(t, err, "another SSRC")
	for range 2 {
		for name, b := range map[string][]byte{"the first": one, "the overtaken": late, "the other SSRC's": two} {
			_, err := r.RTP(nil, b)
			require.ErrorIs(t, err, ErrNotAuthentic, name)
		}
	}
	_, err = r.RTP(nil, from(t, sender, 1, 102))
	require.NoError(t, err, "the first SSRC goes on")
}

// Packets that do not verify leave nothing behind, however many sources they name.
func TestStrangersAreForgotten(t *testing.T) {
	master := newMaster()
	r := receiver(t, master)
	sender, err := newContext(master)
	require.NoError(t, err)
	_, err = r.RTP(nil, from(t, sender, 7, 65000))
	require.NoError(t, err)
	good := from(t, sender, 7, 65001)
	report, err := sender.EncryptRTCP(nil, reports(t, 7), nil)
	require.NoError(t, err)
	for i := range 500 {
		bad := append([]byte(nil), good...)
		bad[8], bad[9] = byte(i), 1
		_, err := r.RTP(nil, bad)
		require.ErrorIs(t, err, ErrNotAuthentic)
		bad = append([]byte(nil), report...)
		bad[4], bad[5] = byte(i), 1
		_, err = r.RTCP(bad)
		require.ErrorIs(t, err, ErrNotAuthentic)
	}
	require.LessOrEqual(t, r.keys[0].strange, maxStrange)
	require.Equal(t, 1, r.keys[0].sources)
	for seq := uint16(65001); seq != 100; seq++ { // over the wrap
		_, err := r.RTP(nil, from(t, sender, 7, seq))
		require.NoError(t, err, "packet %d of the real sender", seq)
	}
	_, err = r.RTCP(report)
	require.NoError(t, err)
}

// A hostile peer that names another source in each packet costs no more memory for it.
func TestSourcesHaveABound(t *testing.T) {
	master := newMaster()
	r := receiver(t, master)
	sender, err := newContext(master)
	require.NoError(t, err)
	for ssrc := range uint32(3 * maxSources) {
		sender.SetROC(ssrc, 5) // one counter for all, as jamid has it
		_, err := r.RTP(nil, from(t, sender, ssrc, uint16(ssrc)))
		if ssrc == 0 {
			require.ErrorIs(t, err, ErrNotAuthentic, "nothing is known of the counter yet")
			sender.SetROC(ssrc, 1)
			_, err = r.RTP(nil, from(t, sender, ssrc, uint16(ssrc)))
			for roc := uint32(2); roc <= 5; roc++ {
				sender.SetROC(ssrc+1<<31+roc, roc)
				_, err := r.RTP(nil, from(t, sender, ssrc+1<<31+roc, 0))
				require.NoError(t, err)
			}
		}
		require.NoError(t, err)
		require.LessOrEqual(t, r.keys[0].sources, maxSources)
	}
	newest := uint32(3*maxSources - 1)
	_, err = r.RTP(nil, from(t, sender, newest, uint16(newest)+1))
	require.NoError(t, err, "the newest source goes on")
}

// What encrypting and decrypting one packet costs is pion's alone.
func TestPacketsDoNotAllocate(t *testing.T) {
	for suite, most := range map[sdes.Suite]float64{sdes.AES128CM80: 9, sdes.AES128CM32: 9, sdes.AES128GCM: 3, sdes.AES256GCM: 3} {
		t.Run(string(suite), func(t *testing.T) {
			key := sdes.New(1, suite)
			var s Sender
			require.NoError(t, s.SetKey(key))
			r := receiver(t, key)
			require.NoError(t, r.Add(sdes.New(1, suite))) // another key that is not used yet
			packet, buf, seq := plain(7, 0), make([]byte, 0, 1500), uint16(0)
			roundTrip := func() {
				seq++
				binary.BigEndian.PutUint16(packet[2:], seq)
				encrypted, err := s.RTP(packet)
				if err == nil {
					_, err = r.RTP(buf, encrypted)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			roundTrip()
			if n := testing.AllocsPerRun(200, roundTrip); n > most {
				t.Errorf("%.1f allocations to send and receive a packet, want at most %.0f", n, most)
			}
		})
	}
}

func TestErrorsDoNotShowKeys(t *testing.T) {
	key, err := sdes.Parse("1 AES_CM_128_HMAC_SHA1_80 inline:" + strings.Repeat("a2tr", 10))
	require.NoError(t, err)
	key.Suite = sdes.AES256GCM // not of its length
	var s Sender
	require.NotContains(t, s.SetKey(key).Error(), "107")
}

func FuzzReceiver(f *testing.F) {
	f.Add([]byte{0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3}, uint8(0))
	f.Add([]byte{0x80, 201, 0, 1, 0, 0, 0, 7}, uint8(2))
	f.Add([]byte{0x90, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0xbe, 0xde, 0xff, 0xff}, uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, suite uint8) {
		r := receiver(t, sdes.New(1, suites[int(suite)%len(suites)]))
		if out, err := r.RTP(nil, b); err == nil {
			t.Fatalf("%d bytes of a stranger's were believed", len(out))
		}
		if out, err := r.RTCP(b); err == nil {
			t.Fatalf("%d bytes of a stranger's were believed as reports", len(out))
		}
	})
}
