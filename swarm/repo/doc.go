// Package repo keeps one conversation: a git repository of signed commits that
// every member holds a copy of. It makes the commits of our device, checks those
// of others by all rules of every kind of commit before any of their objects is
// stored, and merges lines of history.
//
// The tree says who belongs to the conversation:
//
//	admins/ACCOUNT.crt    members/ACCOUNT.crt    invited/ACCOUNT
//	devices/DEVICE.crt    profile.vcf
//	banned/KIND/…         votes/ban|unban/KIND/TARGET/ADMIN
//
// Messages are commits that leave the tree as it is. Peers accept only what they
// can check, so the rules here are at least as strict as those of Jami daemons.
//
// What a method has stored when it returns outlasts a power cut: objects, with the
// folders they are in, before the branch that names them. What is read is compared
// with its hash; what is damaged all the same, a member's copy repairs (Mend).
package repo
