import { spawn } from 'node:child_process';
import { z } from 'zod';
import { ERROR_CODES, type ErrorCode, PerennialError } from '../contracts/errors.ts';
import { packageRoot } from './platform/programs.ts';

const refusal = z.object({ ok: z.literal(false), code: z.string(), message: z.string() });
const isCode = (code: string): code is ErrorCode => Object.hasOwn(ERROR_CODES, code);

/**
 * Asks the data engine. It lives on the worker's side, so it answers in a process of its own, and no platform need
 * run.
 *
 * @param role one of the questions that `workers/main.ts` knows
 * @param question sent as JSON
 * @param dataDir where the question is about what lies there
 * @param more of the environment, for example where MLflow is
 * @throws PerennialError what the engine refused, with its code; `StageFailed` where it broke
 */
export async function askDataEngine<T>(
  role:
    | 'check'
    | 'profile'
    | 'infer'
    | 'rows'
    | 'predictions'
    | 'feedback'
    | 'audit'
    | 'monitor'
    | 'hindsight'
    | 'features',
  question: unknown,
  answer: z.ZodType<T>,
  dataDir?: string,
  more: Readonly<Record<string, string>> = {},
): Promise<T> {
  const said = await ask(role, JSON.stringify(question), dataDir, more);
  const refused = refusal.safeParse(said);
  if (!refused.success) return answer.parse(said);
  const { code, message } = refused.data;
  throw new PerennialError(isCode(code) ? code : 'StageFailed', message);
}

function ask(
  role: string,
  question: string,
  dataDir: string | undefined,
  more: Readonly<Record<string, string>>,
): Promise<unknown> {
  const child = spawn(process.execPath, [`${packageRoot()}/dist/workers/main.js`, role], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...(dataDir === undefined ? {} : { PERENNIAL_DATA_DIR: dataDir }), ...more },
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  // It may end without reading; how it ended is told below.
  child.stdin.on('error', () => undefined);
  child.stdin.end(question);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      const text = Buffer.concat(chunks).toString('utf8').trim();
      if (code === 0 && text) resolve(JSON.parse(text));
      else
        reject(
          new PerennialError('StageFailed', `the ${role} ended with an error; its own words stand above`),
        );
    });
  });
}
