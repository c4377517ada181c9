import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ownScratch, removeDeadScratch } from '../../lib/scratch.ts';

/** A process that cleans up as a worker does at its start, works in its scratch folder, tells of it, and never ends. */
const [dataDir = ''] = process.argv.slice(2);
await removeDeadScratch(dataDir);
const folder = join(await ownScratch(dataDir), 'attempt');
await mkdir(folder);
await writeFile(join(folder, 'rows.csv'), 'a person');
process.stdout.write(`${folder}\n`);
setInterval(() => undefined, 1_000);
