import { basename } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Files that take minutes on CI, the longest first. Vitest orders files by project and size, where it has no times of an
 * earlier run: on a fresh clone a long but small file came last, and one worker finished it while the others had nothing
 * to do.
 */
export const LONG_FILES: readonly string[] = [
  'integration/serving-clients.test.ts',
  'integration/erasure-platform.test.ts',
  'integration/reproduction.test.ts',
  'integration/activities-idempotence.test.ts',
  'integration/activities-payloads.test.ts',
  'integration/backtest.test.ts',
  'integration/feature-store-killed.test.ts',
  'integration/trainers-interruption.test.ts',
  'integration/serving-swaps.test.ts',
  'workflow/garbage.test.ts',
  'integration/trainers-learning.test.ts',
  'integration/step-cache-stages.test.ts',
  'integration/batch-scoring.test.ts',
  'integration/mlflow-flights.test.ts',
  'integration/sources-csv-types.test.ts',
  'integration/trainers-weights.test.ts',
  'integration/prepare-folds.test.ts',
  'integration/export.test.ts',
  'integration/store-lifecycle.test.ts',
  'integration/sources-lifecycle.test.ts',
  'integration/platform-lifecycle.test.ts',
  'replay/replay.test.ts',
  'chaos/promotion.test.ts',
  'chaos/monitoring.test.ts',
  'chaos/tracker.test.ts',
];

const PLACES = new Map(LONG_FILES.map((name, place) => [name, place]));

const placeOf = ({ moduleId }: TestSpecification): number => {
  const folder = moduleId.slice(0, -basename(moduleId).length - 1);
  return PLACES.get(`${basename(folder)}/${basename(moduleId)}`) ?? PLACES.size;
};

/** The long files first, then the others in vitest's own order. */
export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.sort((a, b) => placeOf(a) - placeOf(b));
  }
}
