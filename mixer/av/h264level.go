package av

// H264Level is a row of table A-1 of ITU-T H.264: what a decoder of that level can do.
type H264Level struct {
	IDC       int // level_idc; 9 is level 1b
	PerSecond int // MaxMBPS, macroblocks
	Blocks    int // MaxFS, macroblocks
	Kilobits  int // MaxBR in 1000 bit/s, of the baseline profile
}

var h264Levels = []H264Level{ // level 1b does less than 1, but for its bitrate
	{9, 1485, 99, 128}, {10, 1485, 99, 64}, {11, 3000, 396, 192}, {12, 6000, 396, 384}, {13, 11880, 396, 768},
	{20, 11880, 396, 2000}, {21, 19800, 792, 4000}, {22, 20250, 1620, 4000},
	{30, 40500, 1620, 10000}, {31, 108000, 3600, 14000}, {32, 216000, 5120, 20000},
	{40, 245760, 8192, 20000}, {41, 245760, 8192, 50000}, {42, 522240, 8704, 50000},
	{50, 589824, 22080, 135000}, {51, 983040, 36864, 240000}, {52, 2073600, 36864, 240000},
}

// H264LevelOf is the level of a level_idc; one that is not in the table counts as the one below it.
func H264LevelOf(idc int) H264Level {
	l := h264Levels[0]
	for _, x := range h264Levels {
		if x.IDC <= idc {
			l = x
		}
	}
	return l
}

// Fits reports whether the level allows pictures of width x height, so many per second and
// in so many bit/s.
func (l H264Level) Fits(width, height, fps, bitrate int) bool {
	size := ((width + 15) / 16) * ((height + 15) / 16)
	return size <= l.Blocks && size*fps <= l.PerSecond && bitrate <= l.Kilobits*1000
}

// leastH264Level is the lowest level that fits, from 1.1 on: older decoders know no 1b. What
// fits none is called the highest.
func leastH264Level(width, height, fps, bitrate int) H264Level {
	for _, l := range h264Levels {
		if l.IDC >= 11 && l.Fits(width, height, fps, bitrate) {
			return l
		}
	}
	return h264Levels[len(h264Levels)-1]
}
