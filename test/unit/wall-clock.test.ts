import { afterEach, describe, expect, it, vi } from 'vitest';
import { epochMs } from '../../lib/predictions/wall-clock.ts';

/** Both clocks; a look at one of them may take its time. */
class Clocks {
  #passed = 1_000;
  wall = Date.now();
  /** Milliseconds that the process stands still while the wall clock is read. */
  pause = 0;

  constructor() {
    vi.spyOn(performance, 'now').mockImplementation(() => this.#passed);
    vi.spyOn(Date, 'now').mockImplementation(() => {
      const read = this.wall;
      this.go(this.pause);
      return read;
    });
  }

  get passed(): number {
    return this.#passed;
  }

  go(milliseconds: number): void {
    this.#passed += milliseconds;
    this.wall += milliseconds;
  }
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('the moment of a request', () => {
  it('is the same whenever it is asked for, also by a process that loses its turn', () => {
    const clocks = new Clocks();
    const arrived = clocks.passed;
    const moment = epochMs(arrived);
    expect(moment).toBeCloseTo(clocks.wall, 0);
    for (const pause of [0, 3, 50, 2_000]) {
      clocks.pause = pause;
      clocks.go(10);
      expect(epochMs(arrived)).toBe(moment);
    }
  });

  it('follows a clock that was set', () => {
    const clocks = new Clocks();
    epochMs();
    clocks.wall += 3_600_000;
    expect(epochMs()).toBeCloseTo(clocks.wall, 0);
    clocks.go(25);
    expect(epochMs()).toBeCloseTo(clocks.wall, 0);
  });
});
