package moderation

import (
	"fmt"
	"slices"
	"strings"
)

// Word is an enumeration whose values are words, which people write in the configuration, programs in
// the control API, and the host in its files.
type Word[E any] interface {
	~string
	Words() []E // all there are, in the order in which they are shown
}

// Words are the texts of an enumeration.
func Words[E Word[E]]() []string {
	var e E
	var texts []string
	for _, w := range e.Words() {
		texts = append(texts, string(w))
	}
	return texts
}

// ReadWord sets an enumeration to the one of its words that a text is. The error is a *TextError.
func ReadWord[E Word[E]](to *E, text []byte) error {
	if words := Words[E](); !slices.Contains(words, string(text)) {
		return &TextError{fmt.Sprintf("is one of %s, not %.80q", strings.Join(words, ", "), text)}
	}
	*to = E(text)
	return nil
}

// TextError says, to go behind the name of what was to be set, what it wants, as its text cannot be it.
type TextError struct{ Wants string }

func (e *TextError) Error() string { return e.Wants }
