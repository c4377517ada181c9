import { predictionsQuestion } from '../contracts/prediction-questions.ts';
import { askPredictions } from '../lib/predictions/ask.ts';
import { answering } from './answer.ts';

/** Answers a question about recorded predictions. */
export const runPredictions = answering((question, { config, tempDir }) =>
  askPredictions(config, predictionsQuestion.parse(question), tempDir),
);
