package video

import "rendezvous/mixer/av"

type labels struct{}
type fonts struct{}

func systemFonts() *fonts                                             { return nil }
func newLabels(f *fonts) *labels                                      { return &labels{} }
func (l *labels) version() uint64                                     { return 0 }
func (l *labels) close()                                              {}
func (t *tile) decorate(dst *av.Picture, l *labels, framed bool) bool { return true }
