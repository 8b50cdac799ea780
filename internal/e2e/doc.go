// Package e2e holds the tests that count most: the program as people start it, and callers
// that nobody here wrote, browsers, phones and Jami daemons, who must hear and see each other.
package e2e
