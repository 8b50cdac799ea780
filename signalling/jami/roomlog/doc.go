// Package roomlog keeps a room's conversation: a group on the Jami network that the
// room makes and invites people to. What is said in the room is written there and what
// members write there is said in the room; it holds when meetings took place and who was
// there, which orders were given, and the recordings. Members may run the room by
// chat commands, also from outside of a meeting.
//
// A room is also a guest in conversations that others invite it to: of these it keeps a
// copy, as any member does, and says nothing in them.
package roomlog
