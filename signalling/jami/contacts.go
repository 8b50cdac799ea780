package jami

// picture is the room's picture, as its callers are sent it.
func (d *Door) picture(room string) []byte {
	if d.cfg.Picture == nil {
		return nil
	}
	return d.cfg.Picture(room)
}
