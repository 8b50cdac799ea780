// Package recordings writes, catalogues and keeps recordings of rooms.
//
// A Recording takes packets that the room's mixer has made anyway (it is an
// audio.Member and a ladder.Viewer) and writes them into a fragmented MP4, of which a
// crash loses at most the last fragment. Beside it lie a JSON sidecar (who was there,
// who spoke when), chapters by speaker, and, if asked for, the sound of each
// participant in a file of his own. A Library is the folder of all recordings with
// its catalogue; opening it finishes what a crash left unfinished.
//
// Who may see a recording is not decided here but by the callers of List and Open.
package recordings
