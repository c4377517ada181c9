import type { DataActivities } from '../contracts/activities.ts';
import type { PipelineSpec } from '../contracts/spec/pipeline.ts';
import type { SplitOutput } from '../contracts/stages.ts';
import { splitTable } from '../lib/data/split.ts';
import { quoteLiteral } from '../lib/duckdb/sql.ts';
import { checkSliceConditions } from '../lib/evaluation/test-parts.ts';
import { checkOverlap } from '../lib/expectations/overlap.ts';
import { featureColumns } from '../lib/features/feature-columns.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { withDatabase } from './with-database.ts';

/** Splits the protected table into train, validation and test, and looks for what they have in common. */
export async function split(
  deps: Pick<ActivityDependencies, 'store'>,
  { spec, protect }: Pick<Parameters<DataActivities['split']>[0], 'spec' | 'protect'>,
  frame: ActivityFrame,
): Promise<Omit<SplitOutput, 'cache'>> {
  const { table, sensitive } = protect;
  const store = (await deps.store()).within(await frame.scratch(), { encrypt: sensitive });
  const path = await store.path(table.artifact);
  return withDatabase(frame, async (database, scratchDir) => {
    const parts = await splitTable(
      database,
      `read_parquet(${quoteLiteral(path)})`,
      table,
      spec,
      store,
      scratchDir,
    );
    const overlap = spec.expectations.some((rule) => rule.expect === 'overlap')
      ? await checkOverlap(database, {
          rules: spec.expectations,
          parts: {
            train: await store.path(parts.train.artifact),
            validation: await store.path(parts.validation.artifact),
            test: await store.path(parts.test.artifact),
          },
          columns: table.columns,
          features: featureColumns(table.columns, spec).map((column) => column.name),
          entity: spec.columns.entity,
        })
      : [];
    return { ...parts, sensitive, overlap };
  });
}

/** A slip in the condition of a slice is told before anything is trained. */
export async function checkSlices(
  deps: Pick<ActivityDependencies, 'store'>,
  { spec: { evaluation } }: { spec: Pick<PipelineSpec, 'evaluation'> },
  { test }: Pick<SplitOutput, 'test'>,
  frame: ActivityFrame,
): Promise<void> {
  // Read only where there is something to try.
  if (!evaluation.slices.some((slice) => 'where' in slice)) return;
  const scratchDir = await frame.scratch();
  const store = (await deps.store()).within(scratchDir);
  await checkSliceConditions(
    {
      parquetPath: await store.path(test.artifact),
      scratchDir,
      memoryLimit: frame.duckdbMemory,
      signal: frame.signal,
    },
    evaluation.slices,
  );
}
