// Package conference keeps the rooms: who is in them, who may come in, what has
// been ordered, and the Info snapshot that every door shows its callers.
//
// A Host has Rooms. A door brings a Caller to Room.Join with the leg of their media
// and a Listener, and gets a Member, through which the caller gives orders and leaves.
// What the caller is told comes through the Listener. Who gives orders without being there, such
// as the control API, uses Room.Order.
//
// Each room has one mutex, under which it decides and tells its mixer; whatever may
// block (listeners, the recorder, outgoing calls, speech, the store) happens outside it, on
// goroutines that the room or the host waits for. A room in which nobody is has none.
package conference
