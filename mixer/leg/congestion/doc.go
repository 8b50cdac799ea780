// Package congestion finds out what the path to one receiver carries, from the transport-wide feedback
// that the receiver gives on each packet (draft-holmer-rmcat-transport-wide-cc-extensions-01).
//
// It is a sender-side congestion control of the family of Google's (draft-ietf-rmcat-gcc-02): by delay first, by
// loss where no delay tells, and with probes. Where that one follows the slope of the delay, this one measures the
// queue on the path itself, as each packet's delay above the lowest of late:
//
//   - The queue grows through three windows in a row and passes a threshold that the path's own jitter has
//     set: the path is too narrow. What arrives meanwhile is what it carries, for its queue is never empty. The target
//     falls to just under that at once, and pictures are held until what is under way has drained.
//   - The queue is long but does not grow: perhaps it is a longer way (another route), perhaps a queue that others fill.
//     Pictures are held for as long as would drain it; if it is still there afterwards, that is the way's delay now.
//   - Packets are lost though nothing queues: the target is lowered for a moment; if that does not help, the loss is the path's own
//     and no sign of congestion.
//   - Nothing is heard of what was sent for a while: pictures are held, and go on at the former target when something is heard.
//
// A target that what is sent does not fill can only be raised by probes: a few packets, padding if there is nothing
// else, at twice the target; what arrived of them in which time is what the path carries at least.
//
// Where a receiver gives no such feedback, Reports does the same with less: receiver reports (RFC 3550), round trips, and a receiver's own
// bound.
//
//   - The queue is the round trip above the least of late: of sender reports and back, or of questions that are answered at once, where
//     there is somebody who answers (Reports.Echo).
//   - What left between two of them, over the time in which it came out, is what the path carries while its queue is not empty; where
//     nothing can be asked, what the reports say of losses bounds it, too.
//   - There are no probes. The target grows while nothing speaks against it, once for each report at most, and slowly where it was too much before.
//   - Of a receiver whose reports are seldom, key frames that are asked for again and again are a sign, until a report tells.
//
// Nothing here starts a goroutine or asks the clock.
package congestion
