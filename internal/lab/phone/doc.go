// Package phone runs real telephones for tests: baresip calls rooms with a tone and
// writes down what it hears, sipp plays scenarios of well and badly behaved phones.
// It needs the Debian packages baresip-core, baresip-ffmpeg and sip-tester.
package phone
