package repo

import (
	"fmt"
	"strings"

	"rendezvous/dht/value"
)

// folder is the first part of a path, which says what the file means.
type folder int

const (
	profileFile folder = iota
	adminsFolder
	membersFolder
	invitedFolder
	devicesFolder
	bannedFolder
	votesFolder
)

// kinds are the folders from which something can be banned.
var kinds = []string{"members", "admins", "invited", "devices"}

// location is what a path says.
type location struct {
	folder folder
	kind   string // in banned and votes: members, admins, invited or devices
	id     string // an account, or a device where devices are meant
	unban  bool   // of a vote
	voter  string // of a vote: an account
}

// filePath is where something of a kind stands: "members/ID.crt".
func filePath(kind, id string) string {
	if kind == "invited" {
		return kind + "/" + id
	}
	return kind + "/" + id + ".crt"
}

func bannedPath(kind, id string) string { return "banned/" + filePath(kind, id) }

func votePath(unban bool, kind, target, voter string) string {
	way := "ban"
	if unban {
		way = "unban"
	}
	return "votes/" + way + "/" + kind + "/" + target + "/" + voter
}

// parsePath reads a path. Only the paths of the conversation's layout exist.
func parsePath(path string) (location, error) {
	l, ok := location{}, true
	parts := strings.Split(path, "/")
	switch {
	case path == "profile.vcf":
		l.folder = profileFile
	case len(parts) == 2:
		l.kind = parts[0]
		l.folder, ok = map[string]folder{"admins": adminsFolder, "members": membersFolder, "invited": invitedFolder, "devices": devicesFolder}[parts[0]]
		if ok {
			l.id, ok = fileID(parts[0], parts[1])
		}
	case len(parts) == 3 && parts[0] == "banned":
		l.folder, l.kind = bannedFolder, parts[1]
		l.id, ok = fileID(parts[1], parts[2])
	case len(parts) == 5 && parts[0] == "votes" && (parts[1] == "ban" || parts[1] == "unban"):
		l = location{folder: votesFolder, unban: parts[1] == "unban", kind: parts[2], id: parts[3], voter: parts[4]}
		ok = isID(l.kind, l.id) && isID("members", l.voter)
	default:
		ok = false
	}
	if !ok {
		return l, fmt.Errorf("%.200q has no place in a conversation", path)
	}
	return l, nil
}

func fileID(kind, name string) (string, bool) {
	id := name
	if kind != "invited" {
		var ok bool
		if id, ok = strings.CutSuffix(name, ".crt"); !ok {
			return "", false
		}
	}
	return id, isID(kind, id)
}

// isID reports whether id is an account id, or a device id for kind "devices",
// in the one way to write it.
func isID(kind, id string) bool {
	switch kind {
	case "devices":
		v, err := value.ParseLongID(id)
		return err == nil && v.String() == id
	case "members", "admins", "invited":
		k, err := value.ParseKey(id)
		return err == nil && k.String() == id
	}
	return false
}
