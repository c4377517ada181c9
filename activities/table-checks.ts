import type { ChampionTraining } from '../contracts/activities.ts';
import type { ColumnComparison, ComparedColumn } from '../contracts/distribution-report.ts';
import type { TableRef } from '../contracts/refs.ts';
import type { ExpectationResult } from '../contracts/reports.ts';
import type { PipelineSpec } from '../contracts/spec/pipeline.ts';
import { judgeDistribution } from '../domain/distribution.ts';
import { runCustomCheck } from '../lib/custom-checks/run-check.ts';
import { missingColumn } from '../lib/data/missing-column.ts';
import { quoteLiteral } from '../lib/duckdb/sql.ts';
import { featureColumns } from '../lib/features/feature-columns.ts';
import { compareTables } from '../lib/statistics/drift.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { withDatabase } from './with-database.ts';

/** What the checks of a whole table work on. */
export interface TableUnderCheck {
  spec: PipelineSpec;
  table: TableRef;
  /** Its Parquet file. */
  path: string;
  champion: ChampionTraining | null;
  store: ArtifactStore;
}

/** Results by the place of their rule, and how columns compare with the champion's. */
export interface TableChecks {
  results: Map<number, ExpectationResult>;
  comparisons: ColumnComparison[];
}

/** Judges the rules about distributions and people's own checks. */
export async function checkTable(
  deps: Pick<ActivityDependencies, 'config'>,
  under: TableUnderCheck,
  frame: ActivityFrame,
): Promise<TableChecks> {
  const { spec, table, path } = under;
  const results: TableChecks['results'] = new Map();
  let comparisons: ColumnComparison[] | null | undefined;
  for (const [index, rule] of spec.expectations.entries()) {
    if (rule.expect === 'distribution') {
      comparisons ??= await compareWithChampion(under, frame);
      for (const name of rule.columns ?? [])
        if (!table.columns.some((column) => column.name === name))
          throw missingColumn(
            `expectations[${index}]`,
            name,
            table.columns.map((column) => column.name),
          );
      const named = comparisons?.filter(({ name }) => rule.columns?.includes(name) ?? true) ?? null;
      results.set(index, judgeDistribution(rule, named, table.rows, whyNot(under)));
    } else if (rule.expect === 'custom')
      results.set(
        index,
        await runCustomCheck({
          rule,
          where: `expectations[${index}]`,
          table: { path, rows: table.rows, columns: table.columns },
          allowed: deps.config.modules ?? [],
          scratchDir: await frame.scratch(),
          signal: frame.signal,
        }),
      );
  }
  return { results, comparisons: comparisons ?? [] };
}

const whyNot = ({ champion }: TableUnderCheck): string | undefined =>
  champion ? `the training data of version ${champion.version} are no longer in the store` : undefined;

/** @returns `null` where there is no champion, or its data are gone */
async function compareWithChampion(
  { spec, table, path, champion, store }: TableUnderCheck,
  frame: ActivityFrame,
): Promise<ColumnComparison[] | null> {
  if (!champion || !(await store.has(champion.table))) return null;
  const reference = `read_parquet(${quoteLiteral(await store.path(champion.table))})`;
  return withDatabase(frame, async (database) => {
    const before = await database.columns(reference);
    return compareTables(database, {
      reference,
      current: `read_parquet(${quoteLiteral(path)})`,
      columns: comparable(spec, table).filter(({ name }) => before.some((column) => column.name === name)),
    });
  });
}

/** Features and target, without what the champion saw only after an action of `privacy.columns`. */
function comparable(spec: PipelineSpec, table: TableRef): ComparedColumn[] {
  const { target } = spec.columns;
  const kind = spec.task === 'regression' ? 'numeric' : 'categorical';
  const changed = Object.entries(spec.privacy.columns)
    .filter(([, { action }]) => action !== 'keep')
    .map(([name]) => name);
  const features = featureColumns(table.columns, spec).map(({ name, kind: own }) => ({ name, kind: own }));
  return [...features, { name: target, kind } as const].filter(({ name }) => !changed.includes(name));
}
