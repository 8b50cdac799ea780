// Package conversation gives a Jami account its conversations: it joins package
// swarm, which knows no transport, to the account's channels and to the messages
// between devices. Those travel three ways, and all are taken: over channels
// "msg:" (daemons since the end of 2024), as SIP MESSAGE outside of calls (daemons
// of 2023), and over the DHT (the same, when there is no connection).
//
// Other devices of the account are kept in step over "sync://" channels: contacts,
// conversations and the invitations to them.
package conversation
