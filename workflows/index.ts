/** The workflows of Perennial. A worker of your own adds `export * from 'perennial-mlops/workflow'` to its workflow module. */
export { endpoint } from './endpoint.ts';
export { housekeeping } from './housekeeping.ts';
export { lifecycle } from './lifecycle.ts';
export { modelServer } from './model-server.ts';
export { training } from './training.ts';
