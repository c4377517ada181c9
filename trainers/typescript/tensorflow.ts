import { createRequire } from 'node:module';
import type * as Tensorflow from '@tensorflow/tfjs';
import { PerennialError } from '../../contracts/errors.ts';

/** The module `@tensorflow/tfjs`. */
export type Tf = typeof Tensorflow;

/**
 * Loads TensorFlow.js with its WASM backend (about three times as fast as the plain one).
 *
 * @throws PerennialError `TrainerContract` where the optional peer packages are not installed
 */
export async function loadTensorflow(): Promise<Tf> {
  // The packages are CommonJS, and their names cannot be told from outside: `import` would see no exports.
  const require = createRequire(import.meta.url);
  let tf: Tf;
  try {
    tf = require('@tensorflow/tfjs');
    require('@tensorflow/tfjs-backend-wasm');
  } catch (cause) {
    throw new PerennialError(
      'TrainerContract',
      'The trainers mlp and tfjs_linear need the optional packages TensorFlow.js and its WASM backend: ' +
        'npm install @tensorflow/tfjs@4 @tensorflow/tfjs-backend-wasm@4',
      false,
      { cause },
    );
  }
  if (!(await tf.setBackend('wasm'))) {
    throw new PerennialError(
      'TrainerContract',
      'The WASM backend of TensorFlow.js does not start on this machine.',
    );
  }
  await tf.ready();
  return tf;
}
