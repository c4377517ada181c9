import { execFile } from 'node:child_process';
import { PerennialError } from '../contracts/errors.ts';
import type { Parameters } from '../contracts/spec/search.ts';
import { type ProposalQuestion, proposals } from '../contracts/trials.ts';
import { pythonScript } from './catalog.ts';

const TIMEOUT_MS = 60_000;
const MAX_ANSWER_BYTES = 1024 * 1024;

/**
 * Asks Optuna's tree-structured Parzen estimator (Bergstra et al. 2011) for the next parameters: the history goes in,
 * proposals come out, nothing is kept in between.
 *
 * @param options.python the interpreter that has Optuna
 * @throws PerennialError `TrainerFailed` with the program's own words
 * @throws the signal's reason, after an abort
 * @example
 * const next = await proposed({ space, direction: 'maximize', history, count: 2, seed: 7 }, { python });
 */
export async function proposed(
  question: ProposalQuestion,
  options: { python: string; signal?: AbortSignal },
): Promise<Parameters[]> {
  const { python, signal } = options;
  const answer = await new Promise<string>((resolve, reject) => {
    const child = execFile(
      python,
      [pythonScript('tpe_proposals.py')],
      { timeout: TIMEOUT_MS, maxBuffer: MAX_ANSWER_BYTES, killSignal: 'SIGKILL', signal },
      (error, stdout, stderr) => {
        if (!error) resolve(stdout);
        else if (signal?.aborted) reject(signal.reason);
        else
          reject(
            new PerennialError(
              'TrainerFailed',
              `The estimator did not propose parameters: ${stderr.trim().split('\n').at(-1) || error.message}`,
              error.killed === true,
            ),
          );
      },
    );
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(JSON.stringify(question));
  });
  return proposals.parse(JSON.parse(answer)).proposals;
}
