package sound

// ULaw is a sample's code in G.711's µ-law, by its definition, without a table.
func ULaw(v int16) byte {
	sign, x := byte(0), int(v)
	if x < 0 {
		sign, x = 0x80, -x
	}
	x = min(x, 32635) + 132
	exp := 7
	for mask := 0x4000; exp > 0 && x&mask == 0; mask >>= 1 {
		exp--
	}
	return ^(sign | byte(exp)<<4 | byte(x>>(exp+3))&0x0f)
}

// UnULaw is the sample that a code of µ-law stands for.
func UnULaw(c byte) int16 {
	c = ^c
	x := int16((int(c&0x0f)<<3+132)<<(c>>4&7) - 132)
	if c&0x80 != 0 {
		return -x
	}
	return x
}
