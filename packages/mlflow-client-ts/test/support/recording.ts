import { appendFileSync } from 'node:fs';
import { expect, inject } from 'vitest';
import { MlflowClient, type MlflowClientOptions } from '../../src/index.ts';

/**
 * A `fetch` that notes every successful request together with the running test, so that the
 * suite can prove at its end that each endpoint of ENDPOINTS.md was really reached.
 */
const recordingFetch: typeof fetch = async (input, init) => {
  const answer = await fetch(input, init);
  const { pathname } = new URL(String(input));
  const outcome = answer.ok ? 'ok' : 'failed';
  const line = [init?.method ?? 'GET', pathname, outcome, expect.getState().currentTestName ?? ''].join('\t');
  appendFileSync(inject('recordingFile'), `${line}\n`);
  return answer;
};

/** A client of the shared server (or of `trackingUri`). */
export function testClient(options: Partial<MlflowClientOptions> = {}): MlflowClient {
  return new MlflowClient({ trackingUri: inject('mlflowUri'), fetch: recordingFetch, ...options });
}

let counter = 0;

/** A name no other test uses. */
export function unique(prefix: string): string {
  counter += 1;
  return `${prefix}-${process.pid}-${Date.now().toString(36)}-${counter}`;
}
