import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { DIST, isBuilt } from './scripts/setup/build.mjs';
import LongestFirst from './test/support/longest-first.ts';

const SECOND = 1_000;
const results = process.env.PERENNIAL_TEST_RESULTS;
// Processes that tests start need no loader then. Whoever watches files goes on changing them.
if (process.argv.includes('run') && isBuilt()) process.env.PERENNIAL_BUILT = DIST;

/** One project for each rung of the test ladder; `npx vitest run --project unit` runs one of them. */
export default defineConfig({
  test: {
    // More than CI's two cores: tests with servers and child processes wait a third of their time.
    maxWorkers: 3,
    unstubEnvs: true,
    sequence: { sequencer: LongestFirst },
    // A folder in which CI adds the counts up.
    reporters: results
      ? ['default', ['json', { outputFile: join(results, `${process.pid}.json`) }]]
      : ['default'],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'packages/*/test/unit/**/*.test.ts'],
          // Pure tests: files that share a process import everything once, which takes a third of the time.
          isolate: false,
          setupFiles: ['test/support/own-environment.ts'],
          testTimeout: 10 * SECOND,
        },
      },
      {
        test: {
          name: 'workflow',
          include: ['test/workflow/**/*.test.ts', 'test/replay/**/*.test.ts'],
          globalSetup: ['test/support/global-setup.ts'],
          testTimeout: 60 * SECOND,
          hookTimeout: 60 * SECOND,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          isolate: false,
          setupFiles: ['test/support/own-environment.ts'],
          testTimeout: 120 * SECOND,
          hookTimeout: 180 * SECOND,
        },
      },
      {
        test: {
          name: 'mlflow-client',
          root: 'packages/mlflow-client-ts',
          include: ['test/integration/*.test.ts'],
          globalSetup: ['test/support/global-setup.ts'],
          testTimeout: 30 * SECOND,
          hookTimeout: 90 * SECOND,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          // Each file has a platform of its own.
          maxWorkers: 2,
          // After all others: projects with another number of workers are a group of their own.
          sequence: { groupOrder: 1 },
          testTimeout: 600 * SECOND,
          hookTimeout: 300 * SECOND,
        },
      },
      {
        test: {
          name: 'chaos',
          include: ['test/chaos/**/*.test.ts'],
          // Each file has a platform of its own, and waits most of its time.
          maxWorkers: 3,
          testTimeout: 600 * SECOND,
          hookTimeout: 300 * SECOND,
        },
      },
    ],
  },
});
