// Events that carry something, said in types.

/**
 * Emitter tells who listens what happens. It is a plain EventTarget of CustomEvents besides.
 * @template {object} Details what each type of event carries, by the type's name
 */
export class Emitter extends EventTarget {
  /**
   * on calls f with what each event of a type carries; what it returns ends that.
   * @template {keyof Details & string} T
   * @param {T} type
   * @param {(detail: Details[T]) => unknown} f
   * @returns {() => void}
   */
  on(type, f) {
    /** @param {Event} e */
    const listener = (e) => { f(/** @type {CustomEvent<Details[T]>} */ (e).detail); };
    this.addEventListener(type, listener);
    return () => this.removeEventListener(type, listener);
  }

  /**
   * @template {keyof Details & string} T
   * @param {T} type
   * @param {undefined extends Details[T] ? [detail?: Details[T]] : [detail: Details[T]]} detail
   */
  emit(type, ...detail) { this.dispatchEvent(new CustomEvent(type, {detail: detail[0]})); }
}
