import type { FeedbackAnswer } from '../contracts/feedback.ts';
import { feedbackQuestion } from '../contracts/prediction-questions.ts';
import { importTruth } from '../lib/predictions/truth-import.ts';
import { answering } from './answer.ts';

/** Puts the feedback of a file on record. */
export const runFeedback = answering(async (question, { config, tempDir }): Promise<FeedbackAnswer> => {
  const parsed = feedbackQuestion.parse(question);
  return { endpoint: parsed.endpoint, accepted: await importTruth(config, parsed, tempDir) };
});
