import type { AdamState } from './adam.ts';

/**
 * Stochastic gradient descent with a constant step, on plain arrays. It remembers nothing but how many steps it made;
 * its state has Adam's shape, so that both are saved alike.
 */
export class Sgd {
  readonly state: AdamState;

  constructor(
    private readonly learningRate: number,
    _sizes: readonly number[],
    state?: AdamState,
  ) {
    this.state = state ?? { step: 0, first: [], second: [] };
  }

  /** Changes `weights` in place. `gradients` has the same shapes. */
  update(weights: readonly Float32Array[], gradients: readonly Float32Array[]): void {
    this.state.step++;
    weights.forEach((values, index) => {
      const gradient = gradients[index];
      if (!gradient) throw new RangeError('SGD: weights and gradients differ in number.');
      for (let at = 0; at < values.length; at++)
        values[at] = (values[at] ?? 0) - this.learningRate * (gradient[at] ?? 0);
    });
  }
}
