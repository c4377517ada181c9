import { open } from 'node:fs/promises';
import { NPY_WIDTHS, readNpyHeader } from '../npy.ts';
import { treeModel } from './tree-model.ts';

/** Training rows that are counted at the most; more would change shares in the third digit. */
const MOST_ROWS = 10_000;
/** Rows of a block: those of a large matrix are read in blocks that are spread over it. */
const BLOCK_ROWS = 500;

/**
 * How many training rows came to each node of a model's trees: ONNX files rarely say so (`nodes_hitrates`), and exact
 * attributions average over the branches as training took them.
 *
 * @param matrixPath the matrix that the model was trained on, float32 `.npy` `[n, columns]`
 * @returns nothing where the model is no tree ensemble
 */
export async function trainingCovers(
  model: Uint8Array,
  matrixPath: string,
): Promise<Float64Array | undefined> {
  const trees = treeModel(model);
  if (!trees) return undefined;
  const { ensemble } = trees;
  if (ensemble.hitRates) return ensemble.hitRates;
  const covers = new Float64Array(ensemble.nodes);
  const file = await open(matrixPath, 'r');
  try {
    const { shape, offset } = await readNpyHeader(matrixPath, file);
    const [rows = 0, columns = 0] = shape;
    const blocks = Math.ceil(Math.min(rows, MOST_ROWS) / BLOCK_ROWS);
    for (let block = 0; block < blocks; block++) {
      const whole = rows <= MOST_ROWS;
      const from = whole ? block * BLOCK_ROWS : Math.floor((block * (rows - BLOCK_ROWS)) / (blocks - 1));
      const count = Math.min(BLOCK_ROWS, rows - from);
      const values = new Float32Array(count * columns);
      await file.read(
        new Uint8Array(values.buffer),
        0,
        values.byteLength,
        offset + from * columns * NPY_WIDTHS.float32,
      );
      ensemble.scoresOf(values, columns, covers);
    }
  } finally {
    await file.close();
  }
  return covers;
}
