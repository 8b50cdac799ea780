// Package e2e proves recordings with a Chromium that plays them, also such as a crash has cut off. It holds
// tests only. What ffprobe says of them is asked beside the code.
package e2e
