/** The program beside `score-aside.ts`: scores rows, chunk after chunk, with the model that it loaded last. */
import { PerennialError } from '../../contracts/errors.ts';
import { withoutValues } from '../duckdb/engine-words.ts';
import { TabularSession } from '../onnx/tabular-session.ts';
import { answering } from '../processes/aside.ts';
import { type ScoreJob, scoreJob } from './score-job.ts';
import { scoreRows } from './score-rows.ts';

let loaded: { key: string; session: TabularSession } | undefined;

async function sessionFor({ plan, modelPath, threads }: ScoreJob): Promise<TabularSession> {
  const { onnx, signature } = plan.model;
  const key = JSON.stringify([onnx.sha256, signature, threads]);
  if (loaded?.key === key) return loaded.session;
  await loaded?.session.close();
  loaded = undefined;
  loaded = { key, session: await TabularSession.create(modelPath, signature, { threads }) };
  return loaded.session;
}

answering(async (question, progress) => {
  const job = scoreJob.parse(question);
  try {
    return await scoreRows(job, await sessionFor(job), (rows) => progress({ rows }));
  } catch (error) {
    if (error instanceof PerennialError) throw error;
    // The words of an engine may quote rows.
    const words = withoutValues(error instanceof Error ? error.message : String(error))
      .split('\n', 1)
      .join('');
    throw new PerennialError(
      'StageFailed',
      `Rows ${job.offset + job.rows.from} to ${job.offset + job.rows.before - 1} cannot be scored: ${words}`,
      false,
    );
  }
});
