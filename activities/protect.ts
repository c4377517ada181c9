import type { DataActivities } from '../contracts/activities.ts';
import { MEDIA_TYPES, type TableRef } from '../contracts/refs.ts';
import type { PipelineSpec } from '../contracts/spec/pipeline.ts';
import type { ProtectOutput } from '../contracts/stages.ts';
import { judgeAnonymity, judgeFindings, refusalMessage } from '../domain/privacy.ts';
import { quoteLiteral } from '../lib/duckdb/sql.ts';
import { kAnonymity } from '../lib/privacy/k-anonymity.ts';
import { PersonalColumns } from '../lib/privacy/personal-columns.ts';
import { protectTable } from '../lib/privacy/protect.ts';
import { Secrets } from '../lib/secrets.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { withDatabase } from './with-database.ts';

/** Warnings that travel through a history; the findings say the same of every column. */
const MAX_WARNINGS = 50;

type Outcome = Omit<ProtectOutput, 'cache'>;

/** Judges what was found, applies the actions of `privacy.columns`, and measures k-anonymity of the result. */
export async function protect(
  deps: Pick<ActivityDependencies, 'store'>,
  { spec, ingest, validate }: Parameters<DataActivities['protect']>[0],
  frame: ActivityFrame,
): Promise<Outcome> {
  const { privacy } = spec;
  const { findings } = ingest;
  const found = judgeFindings(findings, privacy);
  const untouched = { findings, actions: [], anonymity: null, table: validate.table };
  if (found.stop.length > 0)
    return {
      ...untouched,
      sensitive: true,
      refusal: { code: 'PersonalDataFound', message: refusalMessage(found.stop) },
      warnings: found.warn.slice(0, MAX_WARNINGS),
    };
  const sensitive = new PersonalColumns(privacy).remaining(validate.table.columns, findings).length > 0;
  const { table, actions } = await applied(deps, spec, validate.table, sensitive, frame);
  const outcome = { findings, actions, table, sensitive };
  const { kAnonymity: wanted } = privacy;
  if (!wanted)
    return { ...outcome, anonymity: null, refusal: null, warnings: found.warn.slice(0, MAX_WARNINGS) };
  const path = await (await deps.store()).within(await frame.scratch()).path(table.artifact);
  const anonymity = await withDatabase(frame, (database) =>
    kAnonymity(
      database,
      `read_parquet(${quoteLiteral(path)})`,
      table.columns,
      wanted.quasiIdentifiers,
      wanted.min,
    ),
  );
  const verdict = judgeAnonymity(anonymity, wanted);
  const [refusal] = verdict.stop;
  return {
    ...outcome,
    anonymity,
    refusal: refusal === undefined ? null : { code: 'AnonymityTooLow', message: refusal },
    warnings: [...verdict.warn, ...found.warn].slice(0, MAX_WARNINGS),
  };
}

async function applied(
  deps: Pick<ActivityDependencies, 'store'>,
  { privacy }: PipelineSpec,
  table: TableRef,
  sensitive: boolean,
  frame: ActivityFrame,
): Promise<Pick<ProtectOutput, 'table' | 'actions'>> {
  const declared = Object.values(privacy.columns);
  if (declared.length === 0) return { table, actions: [] };
  const scratchDir = await frame.scratch();
  const store = (await deps.store()).within(scratchDir);
  const secrets = new Secrets(process.env);
  const key = privacy.pseudonymKey === undefined ? undefined : secrets.resolve(privacy.pseudonymKey);
  const path = await store.path(table.artifact);
  const outPath = `${scratchDir}/protected.parquet`;
  const { rows, columns, actions } = await withDatabase(frame, (database) =>
    protectTable(database, `read_parquet(${quoteLiteral(path)})`, table.columns, privacy, { key, outPath }),
  ).catch((error: unknown) => {
    throw secrets.hide(error);
  });
  const artifact = await store.putFile(outPath, MEDIA_TYPES.parquet, { encrypt: sensitive });
  return { table: { artifact, rows, columns }, actions };
}
