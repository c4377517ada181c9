import { pipelineSpec } from '../contracts/spec/pipeline.ts';
import { checkAgainstData } from '../lib/data/check.ts';
import { answering } from './answer.ts';

/** Checks a spec against the columns of the real data. */
export const runCheck = answering((question, { config, tempDir }) =>
  checkAgainstData(pipelineSpec.parse(question), config, tempDir),
);
