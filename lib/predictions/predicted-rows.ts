import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { FoundRows, Unsearched } from '../../contracts/erasure.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { withoutParquetRows } from '../duckdb/parquet-rows.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import type { Person } from '../erasure/person.ts';
import { personRows } from '../erasure/person-rows.ts';
import type { PersonalStore, SearchTools, StorePlan } from '../erasure/personal-store.ts';
import { RowCatalogue } from '../erasure/row-catalogue.ts';
import { inFolder } from '../erasure/search-folder.ts';
import type { SubjectColumn } from '../erasure/subject-column.ts';
import { ownScratch } from '../scratch.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import { sha256OfFile } from '../store/digest.ts';
import { sealFile } from '../store/sealed-file.ts';
import { EntityKey } from './entity-key.ts';
import { type LogKind, parseLogFile } from './log-files.ts';
import { logKey } from './log-key.ts';
import { LogSources } from './log-sources.ts';
import { PersonRequests } from './person-requests.ts';
import { alone, rollSegments } from './roll.ts';
import { requestClose, segmentFiles } from './segments.ts';
import { type PredictionConfig, segmentsFolder } from './settings.ts';

/** One file of the archive that is written anew. */
const fileStep = z.strictObject({
  key: z.string(),
  /** Of its content, decrypted, as it was looked through. */
  sha256: z.string(),
  /** Rows counted from 0, ascending. */
  gone: z.array(z.number().int().nonnegative()),
});
type FileStep = z.infer<typeof fileStep>;

/** Writers look every tenth of a second; a disk may be slow. */
const CLOSE_WAIT_MS = 15_000;
const POLL_MS = 100;

/** A subject column as it stands in recorded predictions. */
interface Searched {
  readonly column: SubjectColumn;
  readonly pipelines: readonly string[];
}

/**
 * Recorded predictions and their truth. A person is found by the entity's pseudonym, and by inputs and keys that bear
 * the names of columns that identify people in the tables of pipelines; truth by the entity and by the requests that were
 * found, but not by their ids alone: others may have used them too. Segments are archived first, so that there is one place to look through.
 */
export class PredictedRows implements PersonalStore {
  readonly name = 'predictions';

  constructor(
    private readonly store: ArtifactStore,
    private readonly config: PredictionConfig,
  ) {}

  async plan(person: Person, tools: SearchTools): Promise<StorePlan> {
    await this.#archiveAll(tools);
    const searched = await this.#searched(person);
    const token = await this.#token(person);
    const found = new Map<string, FoundRows>();
    const unsearched: Unsearched[] = [];
    const steps: FileStep[] = [];
    await inFolder(tools, async (folder) => {
      const sources = await LogSources.open(this.config, async () => tools.database, folder);
      const [left] = sources.unreadable;
      if (left)
        unsearched.push({
          store: this.name,
          kind: 'segments of the prediction log',
          pipelines: [],
          places: sources.unreadable.length,
          why: left.why,
        });
      for (const endpoint of await sources.endpoints()) {
        const requests = await PersonRequests.create(tools.database);
        try {
          // Predictions before truth: the truth about a request that was found goes with it.
          for (const { key, kind } of await sources.keys(endpoint)) {
            tools.signal.throwIfAborted();
            const what = {
              store: this.name,
              kind: `${kind} of endpoint ${endpoint}`,
              pipelines: [] as string[],
            };
            try {
              const path = await sources.path(key);
              if (path === undefined) {
                if (await sources.wasMerged(key)) throw merging();
                continue;
              }
              const { rows, pipelines } = await rowsOf(tools, path, {
                kind,
                person,
                searched,
                // An endpoint belongs to the pipeline of its name.
                token: person.concerns([endpoint]) ? token : undefined,
                requests,
              });
              if (rows.length === 0) continue;
              steps.push({ key, sha256: await sha256OfFile(path), gone: rows });
              const known = found.get(what.kind) ?? { ...what, places: 0, rows: 0 };
              found.set(what.kind, {
                ...known,
                places: known.places + 1,
                rows: known.rows + rows.length,
                pipelines: [...new Set([...known.pipelines, ...pipelines])],
              });
            } catch (error) {
              if (!(error instanceof PerennialError) || error.retryable) throw error;
              unsearched.push({ ...what, places: 1, why: error.message });
            }
          }
        } finally {
          await requests.drop();
        }
      }
    });
    return { found: [...found.values()], unsearched, steps };
  }

  async isCurrent(step: unknown): Promise<boolean> {
    const { key } = fileStep.parse(step);
    if (!parseLogFile(key)) return false;
    // What was merged since it was looked through stands elsewhere now.
    const sources = await LogSources.archived(this.config, await ownScratch(this.config.dataDir));
    return sources.isLive(key);
  }

  async erase(step: unknown, _certificate: string, tools: SearchTools): Promise<void> {
    const { key, sha256, gone } = fileStep.parse(step);
    if (!parseLogFile(key)) return;
    const segments = segmentsFolder(this.config);
    await mkdir(segments, { recursive: true, mode: 0o700 });
    await alone(join(segments, 'roll.lock'), () =>
      inFolder(tools, async (folder) => {
        const sources = await LogSources.archived(this.config, folder);
        const path = await sources.path(key);
        // Taken before, or deleted by age.
        if (path === undefined || (await sha256OfFile(path)) !== sha256) return;
        const rewritten = join(folder, 'rewritten.parquet');
        await withoutParquetRows(tools.database, path, rewritten, gone);
        const sealed = join(folder, 'rewritten.sealed');
        const isSealed = (await logKey(this.config, this.store.keyring)) !== undefined;
        if (isSealed) await sealFile(rewritten, sealed, this.store.keyring);
        await sources.archive.replace(key, isSealed ? sealed : rewritten);
      }),
    );
  }

  /** Has the servers of this data directory close their segments, and archives them. */
  async #archiveAll(tools: SearchTools): Promise<void> {
    const folder = segmentsFolder(this.config);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const open = new Set(
      (await segmentFiles(folder)).filter((file) => file.open).map(({ origin }) => origin),
    );
    if (open.size > 0) {
      await requestClose(folder);
      const until = Date.now() + CLOSE_WAIT_MS;
      for (let left = open.size; left > 0 && Date.now() < until; ) {
        tools.signal.throwIfAborted();
        await sleep(POLL_MS);
        left = (await segmentFiles(folder)).filter((file) => file.open && open.has(file.origin)).length;
      }
    }
    await rollSegments(this.config, tools.signal);
  }

  async #token(person: Person): Promise<string | undefined> {
    // An erasure that asks for a column means that column alone.
    if (person.column !== null) return undefined;
    const key = await EntityKey.find(this.store, segmentsFolder(this.config));
    return key && person.tokens([{}], key.pseudonymKey)[0];
  }

  /** What identifies people in the tables of the pipelines that are meant, as a request would name it. */
  async #searched(person: Person): Promise<Searched[]> {
    const columns = new Map<string, { column: SubjectColumn; pipelines: Set<string> }>();
    for (const { subject, pipelines } of (await new RowCatalogue(this.store.documents).all()).values()) {
      const meant = pipelines.filter((pipeline) => person.concerns([pipeline]));
      if (meant.length === 0) continue;
      for (const column of person.columnsOf(subject)) {
        const id = JSON.stringify(column);
        const known = columns.get(id) ?? { column, pipelines: new Set<string>() };
        for (const pipeline of meant) known.pipelines.add(pipeline);
        columns.set(id, known);
      }
    }
    return [...columns.values()].map(({ column, pipelines }) => ({ column, pipelines: [...pipelines] }));
  }
}

const merging = (): PerennialError =>
  new PerennialError(
    'StoreUnavailable',
    'files of the prediction log were merged while they were looked through; it is looked again',
    true,
  );

interface Search {
  readonly kind: LogKind;
  readonly person: Person;
  readonly searched: readonly Searched[];
  readonly token: string | undefined;
  /** The person's, of this endpoint; files of predictions add to them. */
  readonly requests: PersonRequests;
}

/** The person's rows of one file, ascending. */
async function rowsOf(
  { database }: SearchTools,
  path: string,
  { kind, person, searched, token, requests }: Search,
): Promise<{ rows: number[]; pipelines: string[] }> {
  const table = `read_parquet(${quoteLiteral(path)}, file_row_number = true)`;
  const names = new Set((await database.columns(table)).map(({ name }) => name));
  const present = searched
    .flatMap(({ column, pipelines }) =>
      ['input', 'entity'].map((part) => ({
        column: { ...column, column: `${part}_${column.column}` },
        pipelines,
      })),
    )
    .filter(({ column }) => names.has(column.column));
  const rows = new Set<number>(
    present.length === 0
      ? []
      : await personRows(
          database,
          path,
          present.map(({ column }) => column),
          person,
        ),
  );
  const pipelines = rows.size > 0 ? present.flatMap((one) => one.pipelines) : [];
  // A pseudonym says nothing of a person, so it may stand in a statement.
  if (token !== undefined)
    for (const { n } of await database.rows(
      `SELECT file_row_number AS n FROM ${table} WHERE entity = ${quoteLiteral(token)}`,
    ))
      rows.add(Number(n));
  if (kind === 'truth') for (const row of await requests.truthIn(path)) rows.add(row);
  const all = [...rows].sort((one, other) => one - other);
  if (kind === 'predictions') await requests.add(path, all);
  return { rows: all, pipelines };
}
