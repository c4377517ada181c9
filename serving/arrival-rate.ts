/** Turns of the event loop after which the memory of an arrival has faded to a third. */
const MEMORY = 20;

/** How close upon each other requests arrive, by what the last turns of the event loop brought. */
export class ArrivalRate {
  #arrivals = 0;
  #milliseconds = 0;
  #last: number | undefined;

  /** Milliseconds from one arrival to the next; infinite as long as too little is known. */
  get gap(): number {
    return this.#arrivals < 1 ? Infinity : this.#milliseconds / this.#arrivals;
  }

  /** Tells of those that arrived since the last telling; none tells nothing. */
  arrived(count: number, now: number): void {
    if (count === 0) return;
    const passed = this.#last === undefined ? 0 : now - this.#last;
    this.#last = now;
    const kept = 1 - 1 / MEMORY;
    // The very first ones came after nobody knows how long.
    this.#arrivals = passed === 0 ? this.#arrivals : this.#arrivals * kept + count;
    this.#milliseconds = this.#milliseconds * kept + passed;
  }
}
