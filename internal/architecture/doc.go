// Package architecture holds no code, only tests that keep the house in the
// shape that docs/architecture.md describes: who imports whom, what each package and
// each dependency is for, which tests meet programs of others, which the race detector leaves out, that the program needs nothing of
// tests, who may keep a time of day as a number, by what key errors are logged, that what documents and comments name is there,
// and that a person in them is they.
package architecture
