// Package prompts holds what is spoken and sounded to callers on the telephone:
// words and numbers as small recordings, and tones. Everything is handed out as 48 kHz
// mono sound. make.sh makes the recordings from texts.txt.
package prompts
