import type { Tensor2D } from '@tensorflow/tfjs';
import { seededRandom } from '../../domain/random.ts';
import type { Tf } from './tensorflow.ts';

/**
 * A multilayer perceptron: ReLU between the layers, a linear last one. Its weights are plain arrays,
 * `[W1, b1, W2, b2, …]` with `W` in shape `[inputs, units]`; TensorFlow.js does the matrix products.
 */
export class Network {
  readonly weights: Float32Array[];

  /**
   * @param sizes units from the input to the output, for example `[20, 64, 32, 2]`
   * @param weights of an earlier training; else He's uniform initialisation from the seed
   */
  constructor(
    private readonly tf: Tf,
    readonly sizes: readonly number[],
    seed: number,
    weights?: Float32Array[],
  ) {
    this.weights = weights ?? initialWeights(sizes, seed);
  }

  get layers(): number {
    return this.sizes.length - 1;
  }

  /** The last layer's values `[rows, outputs]` of `inputs` `[rows, features]`. */
  predict(inputs: Float32Array, rows: number): Float32Array {
    return this.#computed(() => values(this.#forward(this.#matrix(inputs, rows, 0)).at(-1)));
  }

  /**
   * Gradients of a loss with respect to the weights.
   *
   * @param lossGradient the loss's derivative by the last layer's values, given these values
   * @returns arrays shaped like {@link weights}
   */
  gradients(
    inputs: Float32Array,
    rows: number,
    lossGradient: (outputs: Float32Array) => Float32Array,
  ): Float32Array[] {
    const { tf } = this;
    return this.#computed(() => {
      const activations = this.#forward(this.#matrix(inputs, rows, 0));
      const slopes = lossGradient(values(activations.at(-1)));
      let delta = this.#matrix(slopes, rows, this.layers);
      const gradients: Float32Array[] = [];
      // Transposed beforehand: the backend's own transposing product is many times slower.
      for (let layer = this.layers - 1; layer >= 0; layer--) {
        const input = present(activations[layer]);
        gradients.unshift(values(tf.matMul(tf.transpose(input), delta)), values(tf.sum(delta, 0)));
        if (layer === 0) break;
        const back: Tensor2D = tf.matMul(delta, tf.transpose(this.#weightMatrix(layer)));
        // ReLU passes the slope on where its value is above zero.
        delta = tf.mul(back, tf.step(input));
      }
      return gradients;
    });
  }

  /** Frees the tensors that `compute` makes. Its result is kept from `tidy`, which would look through every number. */
  #computed<T>(compute: () => T): T {
    const results: T[] = [];
    this.tf.tidy(() => {
      results.push(compute());
    });
    return present(results[0]);
  }

  /** The inputs and every layer's values. */
  #forward(inputs: Tensor2D): Tensor2D[] {
    const activations = [inputs];
    for (let layer = 0; layer < this.layers; layer++) {
      activations.push(
        this.tf.fused.matMul({
          a: present(activations[layer]),
          b: this.#weightMatrix(layer),
          bias: this.tf.tensor1d(present(this.weights[2 * layer + 1])),
          activation: layer === this.layers - 1 ? 'linear' : 'relu',
        }) as Tensor2D,
      );
    }
    return activations;
  }

  #matrix(data: Float32Array, rows: number, layer: number): Tensor2D {
    return this.tf.tensor2d(data, [rows, present(this.sizes[layer])]);
  }

  #weightMatrix(layer: number): Tensor2D {
    const shape: [number, number] = [present(this.sizes[layer]), present(this.sizes[layer + 1])];
    return this.tf.tensor2d(present(this.weights[2 * layer]), shape);
  }
}

function initialWeights(sizes: readonly number[], seed: number): Float32Array[] {
  const random = seededRandom(seed);
  return sizes.slice(1).flatMap((units, layer) => {
    const inputs = present(sizes[layer]);
    const limit = Math.sqrt(6 / inputs);
    // The last layer starts small, so that the first predictions are near the average.
    const scale = layer === sizes.length - 2 ? 0.1 : 1;
    const matrix = Float32Array.from({ length: inputs * units }, () => (2 * random() - 1) * limit * scale);
    return [matrix, new Float32Array(units)];
  });
}

function values(tensor: { dataSync(): unknown } | undefined): Float32Array {
  const data = present(tensor).dataSync();
  if (!(data instanceof Float32Array)) throw new TypeError('TensorFlow.js gave values that are not float32.');
  // The backend may hand out a view of its own memory, which the next operation overwrites.
  return data.slice();
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new RangeError('A layer is missing.');
  return value;
}
