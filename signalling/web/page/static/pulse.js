// Whether the host is still there, from what has come and when, and what is to be done if not.

const pingEvery = 10000;   // ms between two questions when all is well; they also keep the WebSocket alive
const suspectAfter = 400;  // ms without media before the host is asked whether it is there
const maxAskPause = 2000;  // ms between two questions while media are gone and the host answers
const lostAfter = 900;     // ms without media before something is done
const answerWithin = 500;  // ms for an answer when the path seems to be gone, or three round trips
const unsure = 2000;       // ms where little came before
const patience = 5000;     // ms while media come: TCP holds up on a path that loses packets
const steady = 10;         // packets a second: who sends so many does not fall silent by themselves
const rateOver = 1000;     // ms that packets are counted over
const restartPause = 2000; // ms before ICE is restarted once more; doubled each time, up to
const maxRestartPause = 8000;
const asleep = 1500;       // ms between two looks: the page was asleep, and knows nothing of that time
const oneSided = 700;      // ms that the host has seen nothing of us, by its own word

/**
 * What to do: ask the host for a sign of life, give the WebSocket up for a new one, restart ICE by it.
 * @typedef {'' | 'ask' | 'reopen' | 'restart'} Step
 */

/**
 * Pulse has no clock and no connection of its own: it is told what comes, and when, in ms. The browser itself notices
 * late that its address has gone: a TCP connection from there is silent, no more. Media say it at once, but in a
 * silent room little is sent; so the host is asked, and who does not answer is looked for by another WebSocket.
 */
export class Pulse {
  #count = 0;     // of what came by media's connection, when last looked
  #mediaAt;       // when some last came
  #rate = 0;      // packets a second while they come
  #rtt = 0;       // ms
  #looked;
  #heardAt;       // when the WebSocket last brought something
  #askedAt = 0;   // since when an answer is waited for; 0: it is not
  #lastAsk;
  #askPause = suspectAfter; // doubled while the answers come and media do not
  #restartAt = 0;
  #restartPause = restartPause;
  #blindAt = 0;   // since when the host sees nothing of us; 0: it does
  #brokenAt = 0;  // since when the browser says that media's connection is broken; 0: it is not
  #doubt = false; // the network may be another: ask
  #another = false; // it is another: restart ICE
  #reopened = false; // the WebSocket is another since media last came

  /** @param {number} now */
  constructor(now) { this.#mediaAt = this.#looked = this.#heardAt = this.#lastAsk = now; }

  /**
   * begin is for a connection of media that is new: nothing is known of what it brings.
   * @param {number} now
   */
  begin(now) {
    this.#count = this.#rate = this.#blindAt = this.#brokenAt = 0;
    this.#mediaAt = this.#restartAt = now;
    this.#restartPause = restartPause;
    this.#another = this.#reopened = false;
  }

  /**
   * media takes how many packets, and answers to the browser's checks, have come by now, and the path's round trip.
   * @param {number} now
   * @param {number} count
   * @param {number} rtt ms; 0: not known
   */
  media(now, count, rtt = 0) {
    const passed = now - this.#looked;
    this.#looked = now;
    const came = count - this.#count;
    this.#count = count;
    if (rtt) this.#rtt = rtt;
    if (passed > asleep) {
      this.#mediaAt = now;
      this.#askedAt = 0;
      this.#doubt = true;
      return;
    }
    if (came <= 0) return; // less than before: the browser has dropped a path with its count
    const since = now - this.#mediaAt;
    if (since > 0) this.#rate += (1000 * came / since - this.#rate) * (1 - Math.exp(-since / rateOver));
    this.#mediaAt = now;
    this.#restartPause = restartPause;
    this.#reopened = false;
    if (this.#rate >= steady) this.#askPause = suspectAfter;
  }

  /**
   * heard: the WebSocket has brought something.
   * @param {number} now
   */
  heard(now) {
    this.#heardAt = now;
    this.#askedAt = 0;
    this.#doubt = false;
  }

  /**
   * changed: the browser says that the network may be another, or that it is.
   * @param {boolean} another
   */
  changed(another) {
    this.#doubt = true;
    this.#another ||= another;
    this.#restartAt = 0;
  }

  /**
   * hostSees takes the host's word for whether anything of ours still comes.
   * @param {number} now
   * @param {boolean} lost
   */
  hostSees(now, lost) { this.#blindAt = lost ? this.#blindAt || now : 0; }

  /**
   * gone reports whether the path to the host seems to be gone.
   * @param {number} now
   */
  gone(now) { return this.#brokenAt > 0 || this.#rate >= steady && now - this.#mediaAt >= lostAfter; }

  /**
   * next is what is to be done now, and takes it for done.
   * @param {number} now
   * @param {boolean} up the WebSocket is
   * @param {boolean} broken the browser says so of media's connection
   * @returns {Step}
   */
  next(now, up, broken) {
    this.#brokenAt = broken ? this.#brokenAt || now : 0;
    if (!up) {
      this.#askedAt = this.#restartAt = 0; // what was sent is lost
      this.#reopened = true;
      return '';
    }
    const quiet = now - this.#mediaAt;
    if (this.#askedAt) {
      if (now - this.#askedAt < this.#wait(quiet)) return '';
      this.#askedAt = 0;
      return 'reopen';
    }
    const suspect = (quiet >= suspectAfter || broken) && now - this.#heardAt >= suspectAfter && now - this.#lastAsk >= this.#askPause;
    if (this.#doubt || suspect || now - this.#lastAsk >= pingEvery) {
      if (suspect) this.#askPause = Math.min(2 * this.#askPause, this.gone(now) ? maxAskPause : pingEvery);
      this.#askedAt = this.#lastAsk = now;
      return 'ask';
    }
    if (!this.#needsRestart(now, quiet) || this.#restartAt && now - this.#restartAt < this.#restartPause) return '';
    if (this.#restartAt) this.#restartPause = Math.min(2 * this.#restartPause, maxRestartPause);
    this.#restartAt = now;
    this.#another = false;
    return 'restart';
  }

  /**
   * wait is for how long the host may leave a question unanswered, in ms.
   * @param {number} quiet
   */
  #wait(quiet) {
    if (this.#doubt || this.#brokenAt || quiet >= lostAfter && this.#rate >= steady) return Math.max(answerWithin, 3 * this.#rtt);
    return quiet >= lostAfter ? unsure : patience;
  }

  /**
   * needsRestart: the host is there, and media are not.
   * @param {number} now
   * @param {number} quiet
   */
  #needsRestart(now, quiet) {
    if (this.#another) return true;
    if (this.#blindAt && now - this.#blindAt >= oneSided) return true;
    if (now - this.#heardAt >= suspectAfter) return false;
    if (this.#brokenAt) return now - this.#brokenAt >= suspectAfter;
    return quiet >= lostAfter && (this.#rate >= steady || this.#reopened);
  }
}
