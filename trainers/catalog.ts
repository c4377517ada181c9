import { fileURLToPath } from 'node:url';
import { type TrainerName, trainerName } from '../contracts/spec/candidates.ts';
import { ownScript } from '../lib/processes/own-script.ts';

/** The trainers that come with Perennial. */
export const TRAINER_NAMES = trainerName.options;

/** A program and its first arguments, as `runTrainer` takes them. */
export interface TrainerCommand {
  program: string;
  args: string[];
}

/** A Python program of this folder. They are not compiled: the build, in dist/trainers, runs those of the source folder. */
export function pythonScript(name: string): string {
  const built = !new URL(import.meta.url).pathname.endsWith('.ts');
  return fileURLToPath(new URL(`${built ? '../../trainers/python/' : './python/'}${name}`, import.meta.url));
}

/**
 * The command line of a shipped trainer.
 *
 * @param options.python the Python interpreter that has `trainers/python/requirements.txt` installed
 * @example
 * const { program, args } = trainerCommand('lightgbm', { python: '.venv/bin/python' });
 */
export function trainerCommand(name: TrainerName, options: { python: string }): TrainerCommand {
  if (name === 'mlp') {
    const { path, execArgv } = ownScript(import.meta.url, './typescript/mlp.ts');
    return { program: process.execPath, args: [...execArgv, path] };
  }
  return { program: options.python, args: [pythonScript(`${name}_trainer.py`)] };
}
