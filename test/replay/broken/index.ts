/** A version of the workflows that must not be shipped while runs of the real one are open. */
export { endpoint } from './endpoint.ts';
export { lifecycle } from './lifecycle.ts';
