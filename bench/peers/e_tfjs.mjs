// TensorFlow.js on its WASM backend, bare: e_tfjs.mjs mlp|tfjs_linear FOLDER. Only the fit is timed; five epochs of 512.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(import.meta.url);
const tf = require('@tensorflow/tfjs');
require('@tensorflow/tfjs-backend-wasm');
await tf.setBackend('wasm');
await tf.ready();
tf.env().set('PROD', true);

const [, , kind, folder] = process.argv;
const COLUMNS = 28;
/** The numbers behind the header of an `.npy` file. */
const npy = (name, Type) => {
  const file = readFileSync(join(folder, `${name}.npy`));
  return new Type(
    file.buffer.slice(file.byteOffset + 10 + file.readUInt16LE(8), file.byteOffset + file.length),
  );
};
const features = npy('features', Float32Array);
const rows = features.length / COLUMNS;
for (let column = 0; column < COLUMNS; column++) {
  let [sum, squares] = [0, 0];
  for (let at = column; at < features.length; at += COLUMNS) sum += features[at];
  for (let at = column; at < features.length; at += COLUMNS) squares += (features[at] - sum / rows) ** 2;
  for (let at = column; at < features.length; at += COLUMNS)
    features[at] = (features[at] - sum / rows) / Math.sqrt(squares / rows);
}
const x = tf.tensor2d(features, [rows, COLUMNS]);
const y = tf.tensor2d(Float32Array.from(npy('labels', Int32Array)), [rows, 1]);
const output = { units: 1, activation: 'sigmoid' };
const layers =
  kind === 'mlp'
    ? [tf.layers.dense({ units: 64, activation: 'relu', inputShape: [COLUMNS] }), tf.layers.dense(output)]
    : [tf.layers.dense({ ...output, inputShape: [COLUMNS] })];
const model = tf.sequential({ layers });
model.compile({ optimizer: tf.train.adam(1e-3), loss: 'binaryCrossentropy' });
const begin = performance.now();
await model.fit(x, y, { epochs: 5, batchSize: 512, shuffle: true, verbose: 0, yieldEvery: 'never' });
const seconds = ((performance.now() - begin) / 1e3).toFixed(3);
console.log(`FIGURE E.${kind} s_mmm=${seconds}/${seconds}/${seconds}`);
