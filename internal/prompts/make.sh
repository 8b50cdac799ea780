#!/bin/sh
# Makes en/*.wav (16 kHz mono IMA ADPCM) from texts.txt.
# Needs espeak-ng and sox.
set -eu
cd "$(dirname "$0")"
mkdir -p en
rm -f en/*.wav
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
grep -v '^#' texts.txt | while IFS='|' read -r name words; do
	[ -n "$name" ] || continue
	espeak-ng -v en-us -s 150 -w "$work/a.wav" "$words"
	# Cut silence at both ends, leave 60 ms after the words, peak at -6 dB.
	sox "$work/a.wav" -r 16000 "$work/b.wav" highpass 80 norm -6 \
		silence 1 0.01 0.5% reverse silence 1 0.01 0.5% reverse
	sox "$work/b.wav" -e ima-adpcm "en/$name.wav" fade t 0.005 -0 0.01 pad 0 0.06
done
