// Package e2e proves that Jami daemons that nobody here wrote meet in a room through the Jami door:
// they call it and are called, talk, turn their cameras, write, press keys, moderate, and are members
// of the room's conversation; also through coturn as a relay, over cables that come out, beside a
// device that means harm.
package e2e
