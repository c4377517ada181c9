import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startTemporalServer } from './temporal-server.ts';
import { bundleTo } from './workflow-code.ts';

declare module 'vitest' {
  interface ProvidedContext {
    temporal: {
      address: string;
      /** Path of the Temporal CLI. */
      cli: string;
      /** Path of the bundled workflows. */
      bundle: string;
    };
  }
}

/** One Temporal server and one workflow bundle for all test files of a project: `inject('temporal')`. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'perennial-workflow-tests-'));
  const [server, bundle] = await Promise.all([
    startTemporalServer(),
    bundleTo(join(folder, 'workflow-bundle.js')),
  ]);
  project.provide('temporal', { address: server.address, cli: server.cli, bundle });
  return async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  };
}
