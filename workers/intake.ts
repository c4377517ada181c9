import { dependencies } from '../activities/dependencies.ts';
import { PerennialError } from '../contracts/errors.ts';
import { eventFormat } from '../contracts/events.ts';
import { configFromEnv } from '../lib/config.ts';
import { storeRows } from '../lib/events/intake.ts';

/**
 * Stores the rows on standard input (`main.js intake jsonl|csv`) and answers with one line of JSON: the reference to
 * them, or the error. The log hears of it from whoever asked.
 */
export async function runIntake(): Promise<void> {
  const config = configFromEnv(process.env);
  const { store } = dependencies(config, () => {
    throw new PerennialError('StageFailed', 'the intake of rows does not talk to Temporal');
  });
  try {
    const format = eventFormat.parse(process.argv[3]);
    const batch = await storeRows(process.stdin, format, { store: await store(), dataDir: config.dataDir });
    process.stdout.write(`${JSON.stringify({ ok: true, ...batch })}\n`);
  } catch (error) {
    if (!(error instanceof PerennialError)) throw error;
    process.stdout.write(`${JSON.stringify({ ok: false, code: error.code, message: error.message })}\n`);
  }
}
