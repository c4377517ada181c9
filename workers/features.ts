import { featuresQuestion } from '../contracts/feature-questions.ts';
import { askFeatures } from '../lib/feature-store/ask.ts';
import { answering } from './answer.ts';

/** Answers a question about the features that are kept online. */
export const runFeatures = answering((question, { config }) =>
  askFeatures(config, featuresQuestion.parse(question)),
);
