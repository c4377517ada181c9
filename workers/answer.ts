import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PerennialError } from '../contracts/errors.ts';
import { configFromEnv, type PerennialConfig } from '../lib/config.ts';
import { ownScratch } from '../lib/scratch.ts';

/** What a question of the CLI is answered with. */
export interface QuestionSetting {
  config: PerennialConfig;
  /** An empty folder, deleted afterwards. */
  tempDir: string;
}

/** A role that reads a question as JSON from standard input and answers with one line of JSON: the answer, or the error. */
export function answering(
  work: (question: unknown, setting: QuestionSetting) => Promise<object>,
): () => Promise<void> {
  return async () => {
    const config = configFromEnv(process.env);
    const text = Buffer.concat(await process.stdin.toArray()).toString('utf8');
    const tempDir = await emptyFolder(config.dataDir);
    try {
      const answer = await work(JSON.parse(text), { config, tempDir });
      await say({ ok: true, ...answer });
    } catch (error) {
      if (!(error instanceof PerennialError)) throw error;
      await say({ ok: false, code: error.code, message: error.message });
    } finally {
      await rm(tempDir, { recursive: true, force: true });
    }
  };
}

/** In a data directory that there is: what a killed process decrypted is swept there. */
function emptyFolder(dataDir: string): Promise<string> {
  return existsSync(dataDir) ? ownScratch(dataDir) : mkdtemp(join(tmpdir(), 'perennial-'));
}

/** A long line goes through a pipe in parts; the process must not leave before the last. */
const say = (answer: object): Promise<void> =>
  new Promise((resolve, reject) => {
    process.stdout.write(`${JSON.stringify(answer)}\n`, (error) => (error ? reject(error) : resolve()));
  });
