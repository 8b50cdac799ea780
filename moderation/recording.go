package moderation

// Recording is the state of the host's recording of a room.
type Recording string

// The states of a recording.
const (
	RecordingOff    Recording = "off"
	RecordingOn     Recording = "on"
	RecordingPaused Recording = "paused"
)

// RecordPolicy says whether a room is recorded.
type RecordPolicy string

// The recording policies.
const (
	RecordNever   RecordPolicy = "off"       // nobody may
	RecordOnOrder RecordPolicy = "on-demand" // moderators start and stop it
	RecordAuto    RecordPolicy = "auto"      // starts with the meeting, moderators may stop it
	RecordAlways  RecordPolicy = "always"    // starts with the meeting and cannot be stopped
)

// Words are all recording policies.
func (RecordPolicy) Words() []RecordPolicy {
	return []RecordPolicy{RecordNever, RecordOnOrder, RecordAuto, RecordAlways}
}

// MarshalText writes the policy as the configuration names it.
func (p RecordPolicy) MarshalText() ([]byte, error) { return []byte(p), nil }

// UnmarshalText reads what MarshalText writes, and "never", which programs and older files write for "off".
func (p *RecordPolicy) UnmarshalText(text []byte) error {
	if string(text) == "never" {
		text = []byte(RecordNever)
	}
	return ReadWord(p, text)
}
