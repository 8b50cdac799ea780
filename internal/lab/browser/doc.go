// Package browser starts real headless Chromiums for tests: each with a camera of one
// colour and a microphone with one tone, so that who hears and sees whom can be
// measured. It drives the meeting page as a person would, by its labels and buttons.
//
// It needs Debian's chromium package; without it Start returns an error, and tests
// should fail with it.
package browser
