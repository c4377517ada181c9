import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PerennialError } from '../contracts/errors.ts';
import { pipelineSpec } from '../contracts/spec/pipeline.ts';
import { configFromEnv } from '../lib/config.ts';
import { checkAgainstData } from '../lib/data/check.ts';

/** Reads a spec as JSON from standard input and answers with one line of JSON: the check, or the error. */
export async function runCheck(): Promise<void> {
  const config = configFromEnv(process.env);
  const text = Buffer.concat(await process.stdin.toArray()).toString('utf8');
  const tempDir = await mkdtemp(join(tmpdir(), 'perennial-check-'));
  try {
    const answer = await checkAgainstData(pipelineSpec.parse(JSON.parse(text)), config.sourceRoots, tempDir);
    process.stdout.write(`${JSON.stringify({ ok: true, ...answer })}\n`);
  } catch (error) {
    if (!(error instanceof PerennialError)) throw error;
    process.stdout.write(`${JSON.stringify({ ok: false, code: error.code, message: error.message })}\n`);
  } finally {
    await rm(tempDir, { recursive: true, force: true });
  }
}
