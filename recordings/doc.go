// Package recordings writes, catalogues and keeps recordings of rooms.
//
// A Recording takes packets that the room's mixer has made anyway (it is an
// audio.Member and a ladder.Viewer) and writes them into a fragmented MP4, which is synced
// with each fragment: a crash costs the last one, a power cut a second more. Beside it lie a JSON sidecar (who was there,
// who spoke when), chapters by speaker, and, if asked for, the sound of each
// participant in a file of their own. A Library is the folder of all recordings with
// its catalogue; once opened, it finishes by itself what a crash left unfinished.
//
// What cannot be read is never deleted. It is listed as damaged and stays as it is; Repair makes of it what can be
// made, and keeps the original. What is absent is not deleted either: a recording without its folder is missing
// until that comes back, and if the folder of all is another one than before, nothing is recorded.
//
// Who may see a recording is not decided here but by the callers of List and Open.
package recordings
