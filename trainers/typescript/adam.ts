const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

/** What {@link Adam} remembers, to be saved in a checkpoint. */
export interface AdamState {
  step: number;
  /** Running means of the gradients and of their squares, one array per array of weights. */
  first: Float32Array[];
  second: Float32Array[];
}

/**
 * The Adam optimizer (Kingma and Ba, 2015) on plain arrays. Small networks spend more time in the optimizer's many
 * small tensor operations than in their matrix products, and plain arrays can be saved and restored exactly.
 */
export class Adam {
  readonly state: AdamState;

  constructor(
    private readonly learningRate: number,
    sizes: readonly number[],
    state?: AdamState,
  ) {
    this.state = state ?? {
      step: 0,
      first: sizes.map((size) => new Float32Array(size)),
      second: sizes.map((size) => new Float32Array(size)),
    };
  }

  /** Changes `weights` in place. `gradients` has the same shapes. */
  update(weights: readonly Float32Array[], gradients: readonly Float32Array[]): void {
    const { state } = this;
    state.step++;
    const rate = (this.learningRate * Math.sqrt(1 - BETA2 ** state.step)) / (1 - BETA1 ** state.step);
    weights.forEach((values, index) => {
      const gradient = gradients[index];
      const first = state.first[index];
      const second = state.second[index];
      if (!gradient || !first || !second)
        throw new RangeError('Adam: weights and gradients differ in number.');
      for (let at = 0; at < values.length; at++) {
        const slope = gradient[at] ?? 0;
        const mean = BETA1 * (first[at] ?? 0) + (1 - BETA1) * slope;
        const square = BETA2 * (second[at] ?? 0) + (1 - BETA2) * slope * slope;
        first[at] = mean;
        second[at] = square;
        values[at] = (values[at] ?? 0) - (rate * mean) / (Math.sqrt(square) + EPSILON);
      }
    });
  }
}
