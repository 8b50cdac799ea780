// Package account is one Jami account with one device, always on: what a room
// is on the Jami network. It makes and keeps the account's keys, publishes and
// announces it on the DHT, decides whose connections are accepted, receives and
// answers contact requests, sends its profile, and finds other accounts'
// devices.
//
// It speaks no SIP and knows no conversations: SIP takes its channels from
// [Account.OnSIPChannel] and [Account.OpenChannel], conversations register theirs
// with [Account.HandleChannel].
package account
