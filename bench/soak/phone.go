package main

import (
	"context"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"time"

	"rendezvous/internal/lab/phone"
	"rendezvous/internal/sound"
)

// telephone is a newcomer with a telephone that has a camera.
type telephone struct {
	*phone.Phone
	called   string
	room     string
	resident *resident // knows where everybody is
}

func (m *meeting) phone(number int) newcomer {
	return &telephone{called: fmt.Sprintf("Phone %d", number), room: m.host.sip(), resident: m.resident}
}

func (*telephone) kind() string   { return "phone" }
func (t *telephone) name() string { return t.called }
func (*telephone) tone() float64  { return 1700 }

// face is baresip's test picture.
func (*telephone) face() face { return face{{255, 0, 0, 255}, {0, 255, 0, 255}, {0, 0, 255, 255}} }

func (t *telephone) prepare(ctx context.Context) (err error) {
	t.Phone, err = phone.Start(ctx, phone.Config{User: "newcomer", Name: t.called, Tone: t.tone(), Video: true, Codecs: []string{"opus/48000/2"}})
	return err
}

func (t *telephone) enter(ctx context.Context) error { return t.Dial(ctx, t.room) }

func (t *telephone) listen(ctx context.Context, d time.Duration) (sound.Recording, error) {
	file, err := t.Heard()
	if err != nil {
		return sound.Recording{}, err
	}
	heard, err := wavTail(file)
	if err != nil {
		return sound.Recording{}, err
	}
	return heard.listen(ctx, d)
}

func (t *telephone) look(ctx context.Context) (image.Image, error) { return t.Snapshot(ctx) }

func (t *telephone) place(name string) (place, error) { return t.resident.place(name) }

func (t *telephone) leave(context.Context) error { return t.Hangup() }

func (*telephone) fault() string { return "" }

func (t *telephone) keep(dir string) error {
	if t.Phone == nil {
		return nil
	}
	return os.WriteFile(filepath.Join(dir, "phone.log"), []byte(t.Log()), 0o644)
}

func (t *telephone) close() {
	if t.Phone != nil {
		t.Close()
	}
}
