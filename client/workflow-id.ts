import { randomBytes } from 'node:crypto';

/** An id for a new workflow: what it is about, when, and a random part. @example newWorkflowId('churn') // churn-20261122-101500-3f2a */
export const newWorkflowId = (about: string): string =>
  `${about}-${new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-')}-${randomBytes(2).toString('hex')}`;
