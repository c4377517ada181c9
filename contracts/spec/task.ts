import { z } from 'zod';

/** What the model predicts: one of two classes, one of several, or a number. */
export const task = z.enum(['binary', 'multiclass', 'regression']);
export type Task = z.infer<typeof task>;
