package phone

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rendezvous/internal/sound"
)

// modulePath is where Debian keeps baresip's modules.
const modulePath = "/usr/lib/baresip/modules"

// configure writes baresip's files into the telephone's folder.
func (p *Phone) configure(cfg Config, ports []int) error {
	tone := filepath.Join(p.dir, "says.wav")
	if err := os.WriteFile(tone, toneWAV(cfg.Tone, cmp.Or(cfg.Talks, usualTalk)), 0o600); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(p.dir, "heard"), 0o700); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, `poll_method epoll
sip_listen %s:%d
sip_verify_server no
sip_certificate %s
call_max_calls 4
audio_source aufile,%s
audio_player aubridge,ear
audio_alert aubridge,bell
ausrc_srate 48000
ausrc_channels 1
auplay_srate 48000
auplay_channels 1
audio_buffer 20-160
rtp_tos 0
rtp_ports 30000-39999
rtcp_mux no
jitter_buffer_delay 2-10
rtp_stats no
snd_path %s
opus_application voip
opus_stereo no
opus_sprop_stereo no
ctrl_tcp_listen 127.0.0.1:%d
cons_listen 127.0.0.1:%d
`, p.addr, ports[0], filepath.Join(p.dir, "certificate.pem"), tone, filepath.Join(p.dir, "heard"), ports[1], ports[2])
	modules := []string{"opus", "g722", "g711", "aufile", "aubridge", "sndfile", "srtp", "uuid"}
	if cfg.Video {
		modules = append(modules, "avcodec", "vp8", "fakevideo", "swscale", "snapshot")
		b.WriteString("video_source fakevideo\nvideo_display fakevideo\nvideo_size 640x360\nvideo_bitrate 500000\nvideo_fps 15\nvideo_fullscreen no\n")
	}
	fmt.Fprintf(&b, "module_path %s\n", modulePath)
	for _, m := range modules {
		fmt.Fprintf(&b, "module %s.so\n", m)
	}
	b.WriteString("module_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\nmodule_app cons.so\n")
	if err := os.WriteFile(filepath.Join(p.dir, "config"), []byte(b.String()), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(p.dir, "contacts"), nil, 0o600); err != nil {
		return err
	}
	if err := writeCertificate(filepath.Join(p.dir, "certificate.pem")); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.dir, "accounts"), []byte(p.account(cfg)), 0o600)
}

// account is the telephone's line in baresip's accounts file.
func (p *Phone) account(cfg Config) string {
	user, transport := cfg.User, cfg.Transport
	if user == "" {
		user = "phone"
	}
	if transport == "" {
		transport = "udp"
	}
	host := fmt.Sprintf("%s:%d", p.addr, p.port)
	if cfg.Registrar != "" {
		host = strings.TrimPrefix(cfg.Registrar, "sip:")
	}
	line := fmt.Sprintf(`"%s" <sip:%s@%s;transport=%s>`, cfg.Name, user, host, transport)
	if cfg.Registrar == "" {
		line += ";regint=0"
	} else {
		line += ";regint=60"
	}
	if cfg.Password != "" {
		line += ";auth_user=" + user + ";auth_pass=" + cfg.Password
	}
	if len(cfg.Codecs) > 0 {
		line += ";audio_codecs=" + strings.Join(cfg.Codecs, ",")
	}
	if cfg.VideoOnly != "" {
		line += ";video_codecs=" + cfg.VideoOnly
	}
	if cfg.MediaEnc != "" {
		line += ";mediaenc=" + cfg.MediaEnc
	}
	if cfg.DTMFInfo {
		line += ";dtmfmode=info"
	}
	if cfg.Answer {
		line += ";answermode=auto"
	}
	return line + ";ptime=20\n"
}

// writeCertificate makes the self-signed certificate and key the telephone answers with over TLS.
func writeCertificate(file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})...)
	return os.WriteFile(file, text, 0o600)
}

// toneWAV makes a 48 kHz mono recording of a sine, or of silence.
func toneWAV(hz float64, lasting time.Duration) []byte {
	return sound.WAV(sound.Sine(hz, 0.25, int(lasting.Seconds())*sound.Rate, 0))
}
