package moderation

// Reactions are what a React order may say: few, so that each has a name that can be read out, and none that is an insult.
func Reactions() []string { return []string{"👍", "👏", "❤️", "😂", "😮", "🎉"} }
