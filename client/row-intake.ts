import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { ERROR_CODES, type ErrorCode, PerennialError } from '../contracts/errors.ts';
import { type EventBatch, type EventFormat, eventBatch } from '../contracts/events.ts';
import { packageRoot } from './platform/programs.ts';

const intakeAnswer = z.discriminatedUnion('ok', [
  eventBatch.extend({ ok: z.literal(true) }),
  z.object({ ok: z.literal(false), code: z.string(), message: z.string() }),
]);

const isCode = (code: string): code is ErrorCode => code in ERROR_CODES;

/** Where rows come from: standard input, or a file. */
export function rowsFrom(file: string | undefined): Readable {
  return file === undefined ? process.stdin : createReadStream(file);
}

/**
 * Has rows stored in the artifact store of a data directory. The store lives on the worker's side: it is reached by
 * a process of its own, with the same environment as a worker.
 *
 * @returns the batch, with the digest of its rows as id
 * @throws PerennialError `InputInvalid` where the rows cannot be read; nothing was stored then
 */
export async function storeRows(input: Readable, format: EventFormat, dataDir: string): Promise<EventBatch> {
  const child = spawn(process.execPath, [`${packageRoot()}/dist/workers/main.js`, 'intake', format], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, PERENNIAL_DATA_DIR: dataDir },
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  // The intake stops reading where it has seen enough to refuse; its answer says why.
  const sent = pipeline(input, child.stdin).catch((error: unknown) => error);
  const code = await ended;
  const text = Buffer.concat(chunks).toString('utf8').trim();
  if (code !== 0 || text === '')
    throw new PerennialError('StageFailed', 'the rows were not stored; the words of the intake stand above');
  const answer = intakeAnswer.parse(JSON.parse(text));
  if (!answer.ok) throw new PerennialError(isCode(answer.code) ? answer.code : 'StageFailed', answer.message);
  const problem = await sent;
  if (problem instanceof Error)
    throw new PerennialError('InputInvalid', `the rows cannot be read to their end: ${problem.message}`);
  const { ok: _ok, ...batch } = answer;
  return batch;
}
