// The data sets that the examples run on.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { execute, ROOT, SetupError } from './steps.mjs';

const EXAMPLES = ['flights', 'bank'];

/** Runs each example's `prepare.mjs`, which does nothing where its files are there. */
export async function prepareExamples(progress) {
  const said = [];
  for (const name of EXAMPLES) {
    const script = join(ROOT, 'examples', name, 'prepare.mjs');
    if (!existsSync(script)) continue;
    progress(name);
    const { code, output, tail } = await execute(process.execPath, [script]);
    if (code !== 0) throw new SetupError(`The data of the example "${name}" cannot be prepared. ${tail}`);
    said.push(`${name} ${output.split('\n').at(-1)}`);
  }
  return said.join(', ');
}
