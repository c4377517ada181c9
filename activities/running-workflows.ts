/**
 * A visibility query for the running workflows of a type on our own task queue: a namespace may hold those of other
 * teams, with other stores, under the same type.
 */
export const runningOn = (taskQueue: string, type: string): string =>
  `WorkflowType = '${type}' AND ExecutionStatus = 'Running' AND TaskQueue = '${taskQueue.replaceAll("'", '')}'`;
