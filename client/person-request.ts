import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline/promises';
import { z } from 'zod';
import { ERROR_CODES, type ErrorCode, PerennialError } from '../contracts/errors.ts';
import { type ArtifactRef, artifactRef } from '../contracts/refs.ts';
import { packageRoot } from './platform/programs.ts';

/** Who is to be erased; see `personRequest` of the worker. */
export interface PersonRequest {
  entity: string;
  column: string | null;
  pipelines: string[] | null;
}

const answer = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), request: artifactRef }),
  z.object({ ok: z.literal(false), code: z.string(), message: z.string() }),
]);

const isCode = (code: string): code is ErrorCode => code in ERROR_CODES;

/**
 * The id of a person: the given one; of `-` what is typed, or what comes on standard input. The arguments of a process
 * can be read by everybody on the machine, and stand in the shell's history.
 */
export async function entityFrom(given: string): Promise<string> {
  if (given !== '-') return given;
  if (!process.stdin.isTTY)
    return Buffer.concat(await process.stdin.toArray())
      .toString('utf8')
      .trim();
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await terminal.question('Id of the person: ')).trim();
  } finally {
    terminal.close();
  }
}

/**
 * Has a request stored, encrypted, in the artifact store of a data directory. The store lives on the worker's side: it
 * is reached by a process of its own, with the same environment as a worker, and told on standard input.
 *
 * @throws PerennialError `InputInvalid`, `KeyringInvalid`
 */
export async function storeRequest(person: PersonRequest, dataDir: string): Promise<ArtifactRef> {
  const child = spawn(process.execPath, [`${packageRoot()}/dist/workers/main.js`, 'person'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, PERENNIAL_DATA_DIR: dataDir },
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stdin.end(JSON.stringify(person));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const text = Buffer.concat(chunks).toString('utf8').trim();
  if (code !== 0 || text === '')
    throw new PerennialError('StageFailed', 'the request was not stored; the reason stands above');
  const stored = answer.parse(JSON.parse(text));
  if (stored.ok) return stored.request;
  throw new PerennialError(isCode(stored.code) ? stored.code : 'StageFailed', stored.message);
}
