// Package e2e proves the telephones' door with telephones that nobody here wrote: baresip calls the
// rooms and is called from them, hears, sees, presses keys and proves who it is; sipp plays
// well and badly behaved phones, registrars and trunks by scenarios. It holds tests only.
package e2e
