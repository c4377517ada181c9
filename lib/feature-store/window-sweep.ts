import { addEvent, clearState, copyState, mergeState, STATE_WIDTH } from './window-state.ts';

const FIRST_CAPACITY = 256;

/**
 * The windows of one entity while its events and the questions about it pass by in the order of time, questions before
 * events of the same moment. A window is a queue of two stacks (Tangwongsan et al., "General incremental sliding-window
 * aggregation", VLDB 2015): each event is merged at most twice for each window, and nothing is ever subtracted. Only
 * the events that the longest window may still need are held.
 *
 * @example
 * const sweep = new WindowSweep(1, [3_600e6]);
 * sweep.add(time, [12.5]);
 * sweep.ask(later);
 * aggregateOf('avg', sweep.states, sweep.stateAt(0, 0));
 */
export class WindowSweep {
  #times = new Float64Array(FIRST_CAPACITY);
  /** The values of the events, those of one event side by side. */
  #values: Float64Array<ArrayBuffer>;
  #count = 0;
  readonly #windows: Window[];
  readonly #longest: number;
  /** The answer to the last question: a state for each window and value. */
  readonly states: Float64Array;

  /**
   * @param width how many values an event has
   * @param lengths of the windows, in units of time
   */
  constructor(
    private readonly width: number,
    private readonly lengths: readonly number[],
  ) {
    this.#values = new Float64Array(FIRST_CAPACITY * width);
    this.#windows = lengths.map(() => new Window(width));
    this.#longest = Math.max(...lengths);
    this.states = new Float64Array(lengths.length * width * STATE_WIDTH);
  }

  /** Begins with another entity. */
  reset(): void {
    this.#count = 0;
    for (const window of this.#windows) window.reset(0);
  }

  /** An event, not earlier than those and the questions before. @param values NaN where it has none */
  add(time: number, values: ArrayLike<number>): void {
    if (this.#count === this.#times.length) this.#makeRoom(time - this.#longest);
    this.#times[this.#count] = time;
    this.#values.set(values, this.#count * this.width);
    this.#count++;
  }

  /** Asks for the events of [time − length, time) for each length; later than the events before. */
  ask(time: number): void {
    this.#windows.forEach((window, index) => {
      const start = this.#firstFrom(time - (this.lengths[index] ?? 0), window.start);
      window.advance(start, this.#count, this.#times, this.#values);
      window.write(this.states, this.stateAt(index, 0));
    });
  }

  /** Where the state of a window and a value begins in {@link states}. */
  stateAt(window: number, value: number): number {
    return (window * this.width + value) * STATE_WIDTH;
  }

  /** The first event at or after a moment, from a place on; in growing steps, since it is mostly near. */
  #firstFrom(moment: number, from: number): number {
    let low = from;
    let step = 1;
    while (low + step <= this.#count && (this.#times[low + step - 1] ?? 0) < moment) {
      low += step;
      step *= 2;
    }
    let high = Math.min(this.#count, low + step);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#times[middle] ?? 0) < moment) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Drops what is too old for all questions to come; where that is little, takes twice the space. */
  #makeRoom(oldest: number): void {
    const first = this.#firstFrom(oldest, 0);
    if (first > this.#count / 2) {
      this.#times.copyWithin(0, first, this.#count);
      this.#values.copyWithin(0, first * this.width, this.#count * this.width);
      this.#count -= first;
      for (const window of this.#windows) window.dropped(first);
      return;
    }
    this.#times = grown(this.#times);
    this.#values = grown(this.#values);
  }
}

/** The events [start, end) of one window: those before `middle` as merged suffixes, the others as one state. */
class Window {
  start = 0;
  #middle = 0;
  #end = 0;
  /** For each event from `base` up to `middle`: it and those behind it, merged. */
  #suffixes = new Float64Array(0);
  #base = 0;
  readonly #rest: Float64Array;

  constructor(private readonly width: number) {
    this.#rest = new Float64Array(width * STATE_WIDTH);
    this.reset(0);
  }

  /** Empty, before the event at a place. */
  reset(place: number): void {
    this.start = place;
    this.#middle = place;
    this.#end = place;
    this.#base = place;
    this.#clearRest();
  }

  /** The first events are gone, and all others stand so many places earlier. */
  dropped(places: number): void {
    if (this.start < places) this.reset(places);
    this.start -= places;
    this.#middle -= places;
    this.#end -= places;
    this.#base -= places;
  }

  /** Moves to [start, end), neither of which is before the last one. */
  advance(start: number, end: number, times: Float64Array, values: Float64Array): void {
    const { width } = this;
    // What came and went between two questions is never looked at.
    if (start >= this.#end) this.reset(start);
    this.start = start;
    for (; this.#end < end; this.#end++)
      for (let value = 0; value < width; value++)
        addEvent(
          this.#rest,
          value * STATE_WIDTH,
          values[this.#end * width + value] ?? 0,
          times[this.#end] ?? 0,
        );
    if (start > this.#middle) this.#turn(times, values);
  }

  /** Writes the state of each value. */
  write(states: Float64Array, at: number): void {
    for (let value = 0; value < this.width; value++) {
      const target = at + value * STATE_WIDTH;
      const suffix = ((this.start - this.#base) * this.width + value) * STATE_WIDTH;
      clearState(states, target);
      if (this.start < this.#middle) mergeState(states, target, this.#suffixes, suffix);
      mergeState(states, target, this.#rest, value * STATE_WIDTH);
    }
  }

  /** Makes suffixes of all events that there are. */
  #turn(times: Float64Array, values: Float64Array): void {
    const { width } = this;
    const stride = width * STATE_WIDTH;
    const needed = (this.#end - this.start) * stride;
    if (this.#suffixes.length < needed) this.#suffixes = new Float64Array(2 * needed);
    const suffixes = this.#suffixes;
    this.#base = this.start;
    this.#middle = this.#end;
    for (let place = this.#end - 1; place >= this.start; place--) {
      const target = (place - this.#base) * stride;
      for (let value = 0; value < width; value++) {
        const state = target + value * STATE_WIDTH;
        if (place + 1 < this.#end) copyState(suffixes, state, state + stride);
        else clearState(suffixes, state);
        addEvent(suffixes, state, values[place * width + value] ?? 0, times[place] ?? 0);
      }
    }
    this.#clearRest();
  }

  #clearRest(): void {
    for (let value = 0; value < this.width; value++) clearState(this.#rest, value * STATE_WIDTH);
  }
}

function grown(values: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(2 * values.length);
  larger.set(values);
  return larger;
}
