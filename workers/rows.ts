import { rowsQuestion } from '../contracts/data-questions.ts';
import { timedRows } from '../lib/data/timed-rows.ts';
import { answering } from './answer.ts';

/** Reads rows of a spec's table in time order, for what is replayed. */
export const runRows = answering(async (question, setting) => {
  const { spec, from, before } = rowsQuestion.parse(question);
  return { rows: await timedRows(spec, { from, before }, setting) };
});
