// Package conference keeps the rooms: who is in them, who may come in, what has
// been ordered, and the Info snapshot that every door shows its callers.
package conference
