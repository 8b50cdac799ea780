// Package firefox drives a headless Firefox, Debian's ESR, by WebDriver BiDi (https://www.w3.org/TR/webdriver-bidi/): the other
// engine that people come with. Its camera is Firefox's own test picture, whose colour turns, and its microphone a tone of a
// pitch that can be chosen.
package firefox
