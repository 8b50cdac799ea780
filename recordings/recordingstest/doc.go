// Package recordingstest is what tests of recordings need: a room's sound and picture, as its mixer would
// give them to a recording, and a clock.
package recordingstest
