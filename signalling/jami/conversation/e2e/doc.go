// Package e2e proves that Jami daemons and we are members of the same conversations: by invitations
// either way, messages, files, as devices of one account, and after having been apart; and that git
// and the daemons find what comes of it valid.
package e2e
