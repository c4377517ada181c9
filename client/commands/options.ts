import { resolve } from 'node:path';
import type { Command } from 'commander';

/** The data directory that the global option `--data-dir` or `PERENNIAL_DATA_DIR` names. */
export function dataDirOf(command: Command): string {
  const { dataDir } = command.optsWithGlobals<{ dataDir?: string }>();
  return resolve(dataDir ?? process.env.PERENNIAL_DATA_DIR ?? '.perennial');
}
