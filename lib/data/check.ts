import type { TableRef } from '../../contracts/refs.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import { judgeFindings } from '../../domain/privacy.ts';
import { Database } from '../duckdb/database.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import { missingSource, referenceOf } from '../expectations/references.ts';
import { columnsOf } from '../expectations/words.ts';
import { requireFit } from '../feature-store/join-features.ts';
import { planView } from '../feature-store/view-plan.ts';
import { featureColumns } from '../features/feature-columns.ts';
import { actionWords } from '../privacy/action-sql.ts';
import { PersonalColumns } from '../privacy/personal-columns.ts';
import { sourceOptions } from '../sources/options.ts';
import { sampleSource } from '../sources/sample.ts';
import { oneSelect } from './join.ts';
import { missingColumn } from './missing-column.ts';

/** What a spec makes of the real data's columns. */
export interface DataCheck {
  /** Columns: 0 where a look would have cost too much. */
  sources: { name: string; files: number; columns: number }[];
  /** Columns of the joined table with their type and what they are to the model. */
  columns: { name: string; type: string; role: string }[];
  /** What the first rows of each source hold of people that the spec does not declare; a run looks at all rows. */
  personal: string[];
}

/** Rows of a source that are looked at for personal data. */
const LOOKED_AT = 5_000;

/**
 * Checks a spec against the real data without running it: sources, SQL, roles, features and expectations. Types are
 * detected from the first rows of each source. Where a look at a source would cost too much (a large file behind a
 * web address, an event log), only what the worker allows is checked, and `columns` is empty.
 *
 * @param config what the worker allows
 * @param tempDir folder for what DuckDB spills and for downloads
 * @throws PerennialError with the first problem
 */
export async function checkAgainstData(
  spec: PipelineSpec,
  config: Parameters<typeof sourceOptions>[0],
  tempDir: string,
): Promise<DataCheck> {
  const options = sourceOptions(config, tempDir);
  const open = await Database.create({ tempDir });
  try {
    const sources: DataCheck['sources'] = [];
    const paths: string[] = [];
    const views: string[] = [];
    for (const [name, source] of Object.entries(spec.data.sources)) {
      const sample = await sampleSource(open, name, source, options);
      sources.push({ name, files: sample?.files ?? 0, columns: sample?.columns.length ?? 0 });
      if (!sample) continue;
      paths.push(...sample.paths);
      views.push(`CREATE VIEW ${quoteIdent(name)} AS ${sample.query}`);
    }
    if (views.length < sources.length) return { sources, columns: [], personal: [] };
    const locked = await Database.create({ tempDir, onlyPaths: paths });
    try {
      for (const view of views) await locked.run(view, 'SourceUnreadable');
      const personal: string[] = [];
      for (const { name } of sources) personal.push(...(await personalIn(locked, name, spec)));
      const query =
        spec.data.sql === undefined
          ? `SELECT * FROM ${quoteIdent(sources[0]?.name ?? '')}`
          : await oneSelect(locked, spec.data.sql);
      const joined = await locked.columns(`(${query}\n)`, 'SqlInvalid', 'data.sql');
      const columns = [...joined, ...(await viewColumnsOf(locked, spec, joined))];
      const known = columns.map((column) => column.name);
      for (const [index, { where }] of spec.data.rowFilter.entries())
        await oneSelect(locked, `SELECT (${where}\n) FROM (${query}\n)`, `data.rowFilter[${index}].where`);
      await checkRuleColumns(locked, spec, known);
      const features = new Map(featureColumns(columns, spec).map((column) => [column.name, column.kind]));
      const { target, entity, timestamp } = spec.columns;
      const role = (name: string): string => {
        const plain =
          name === target
            ? 'target'
            : entity.includes(name)
              ? 'entity'
              : name === timestamp
                ? 'timestamp'
                : 'ignored';
        const declared = Object.hasOwn(spec.privacy.columns, name) ? spec.privacy.columns[name] : undefined;
        if (declared?.action === 'drop') return 'personal: dropped';
        const kind = features.get(name);
        if (declared && declared.action !== 'keep' && !kind)
          return `${plain}, personal: ${actionWords(declared.action, declared.kind, spec.privacy.keyVersion)}`;
        return kind ? `${plain === 'ignored' ? '' : `${plain}, `}feature (${kind})` : plain;
      };
      return {
        sources,
        columns: columns.map((column) => ({ ...column, role: role(column.name) })),
        personal,
      };
    } finally {
      locked.close();
    }
  } catch (error) {
    throw options.secrets.hide(error);
  } finally {
    open.close();
  }
}

/** The columns that the feature views add to the table. */
async function viewColumnsOf(
  database: Database,
  { featureViews, columns: { timestamp = '' } }: PipelineSpec,
  table: TableRef['columns'],
): Promise<TableRef['columns']> {
  const added: TableRef['columns'] = [];
  for (const [name, view] of Object.entries(featureViews)) {
    const plan = await planView(database, name, view);
    requireFit(plan, timestamp, [...table, ...added]);
    added.push(...plan.columns.map((column) => ({ name: column.name, type: 'DOUBLE' })));
  }
  return added;
}

/** Each rule names columns of the table that it is about, and of the source that it refers to. */
async function checkRuleColumns(
  database: Database,
  { expectations, data }: Pick<PipelineSpec, 'expectations' | 'data'>,
  joined: readonly string[],
): Promise<void> {
  const names = Object.keys(data.sources);
  for (const [index, rule] of expectations.entries()) {
    const where = `expectations[${index}]`;
    const ofSource = async (name: string): Promise<string[]> => {
      if (!names.includes(name)) throw missingSource(where, name, names);
      return (await database.columns(quoteIdent(name))).map((column) => column.name);
    };
    const on = 'on' in rule ? rule.on : undefined;
    requireColumns(where, on, columnsOf(rule), on === undefined ? joined : await ofSource(on));
    if (rule.expect === 'foreign_key')
      for (const { source, column } of rule.references.map(referenceOf))
        requireColumns(where, source, [column], await ofSource(source));
  }
}

function requireColumns(
  where: string,
  source: string | undefined,
  columns: readonly string[],
  known: readonly string[],
): void {
  const missing = columns.find((column) => !known.includes(column));
  if (missing === undefined) return;
  throw missingColumn(source === undefined ? where : `${where} (source ${source})`, missing, known);
}

/** What a run would stop at or warn of, from a source's first rows. */
async function personalIn(
  database: Database,
  source: string,
  { privacy }: Pick<PipelineSpec, 'privacy'>,
): Promise<string[]> {
  const rows = quoteIdent('__perennial_first_rows');
  await database.run(
    `CREATE OR REPLACE TEMP TABLE ${rows} AS SELECT * FROM ${quoteIdent(source)} LIMIT ${LOOKED_AT}`,
    'SourceUnreadable',
    `source ${source}`,
  );
  const columns = await database.columns(rows);
  const { stop, warn } = judgeFindings(
    await new PersonalColumns(privacy).findings(database, rows, columns),
    privacy,
  );
  return [
    ...stop.map((words) => `a run would stop: source ${source}: ${words}`),
    ...warn.map((words) => `source ${source}: ${words}`),
  ];
}
