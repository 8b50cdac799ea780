package swarm

import (
	"encoding/json"
	"strings"
)

// MIME types of the messages between devices.
const (
	TypeCommit   = "application/im-gitmessage-id"
	TypeInvite   = "application/invite+json"
	TypeAskAgain = "application/invite" // to who invited: say it again
)

// maxMessage bounds a message between devices.
const maxMessage = 256 << 10

// announcement says that a device has a new commit.
type announcement struct {
	Commit string `json:"commit"`
	Device string `json:"deviceId"`
	ID     string `json:"id"`
}

// invitation is how an account is invited to a group.
type invitation struct {
	ID       string            `json:"conversationId"`
	Metadata map[string]string `json:"metadatas"`
}

// maxSummary bounds title and description in an invitation: a SIP MESSAGE to a
// daemon of 2023 has 8000 bytes in all.
const maxSummary = 2000

func parseAnnouncement(body []byte) (announcement, bool) {
	var a announcement
	if len(body) > maxMessage || json.Unmarshal(body, &a) != nil {
		return a, false
	}
	return a, conversationID.MatchString(a.ID)
}

func parseInvitation(body []byte) (invitation, bool) {
	var raw struct {
		ID       string         `json:"conversationId"`
		Metadata map[string]any `json:"metadatas"`
	}
	if len(body) > maxMessage || json.Unmarshal(body, &raw) != nil || !conversationID.MatchString(raw.ID) {
		return invitation{}, false
	}
	inv := invitation{raw.ID, map[string]string{}}
	for k, v := range raw.Metadata {
		if text, ok := v.(string); ok {
			inv.Metadata[k] = text
		}
	}
	return inv, true
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
