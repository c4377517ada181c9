import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { personalKind } from '../../contracts/privacy.ts';
import type { TableRef } from '../../contracts/refs.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { pseudonymText } from '../privacy/action-sql.ts';
import {
  type PseudonymKey,
  pseudonymSql,
  registerPhoneForm,
  withPseudonymKey,
} from '../privacy/pseudonym.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import { SUPPRESSION_KEY } from '../store/blob-backend.ts';
import { documentsBelow } from '../store/documents.ts';
import type { Person } from './person.ts';
import type { SubjectColumn } from './subject-column.ts';

const suppression = z.strictObject({
  /** HMAC-SHA-256 of the id's normal forms, cut to 128 bits, under a key that the keyring alone gives. */
  tokens: z.array(z.string()),
  /** Only in this column; `null`: in any that identifies people. */
  column: z.string().nullable(),
  pipelines: z.array(z.string()).nullable(),
  certificate: z.string(),
  /** ISO time. */
  at: z.string(),
});
type Suppression = z.infer<typeof suppression>;

const keyDocument = z.strictObject({ keyId: z.string(), salt: z.string() });

const PREFIX = 'suppressed/';

/** A source of a pipeline, as {@link Suppressions.whileKnown} needs it. */
export interface SuppressedTable {
  pipeline: string;
  columns: TableRef['columns'];
  /** From `subjectColumns` with state `raw`. */
  subject: readonly SubjectColumn[];
}

/**
 * Who was erased and must not come back with the next ingest, from source files that still have the person. The list
 * holds no ids: tokens under a key that is derived from the keyring. Whoever has the store without its keyring
 * cannot try out who is on it.
 */
export class Suppressions {
  constructor(private readonly store: Pick<ArtifactStore, 'documents' | 'keyring'>) {}

  /** Puts a person on the list; under the same certificate once more changes nothing. */
  async add(
    person: Person,
    kinds: readonly Pick<SubjectColumn, 'kind' | 'region'>[],
    certificate: string,
    at: string,
  ): Promise<void> {
    const all = [{}, ...personalKind.options.map((kind) => ({ kind })), ...kinds];
    const entry: Suppression = {
      tokens: person.tokens(all, await this.#key()),
      column: person.column,
      pipelines: person.pipelines ? [...person.pipelines] : null,
      certificate,
      at,
    };
    await this.store.documents.write(PREFIX + certificate, suppression.parse(entry));
  }

  /**
   * Runs work that reads a source.
   *
   * @param work gets the SQL condition of the rows that must stay out, never NULL; `undefined` where there are none.
   *   It can be used in this database and for as long as the work goes on
   * @throws PerennialError `KeyringInvalid` where the list cannot be applied: nobody comes back by a lost key
   * @example
   * const rows = await suppressions.whileKnown(database, { pipeline, columns, subject }, (out) =>
   *   database.copyToParquet(`SELECT * FROM source${out ? ` WHERE NOT ${out}` : ''}`, path));
   */
  async whileKnown<T>(
    database: Database,
    { pipeline, columns, subject }: SuppressedTable,
    work: (suppressed: string | undefined) => Promise<T>,
  ): Promise<T> {
    const entries = (await this.#all()).filter(
      ({ pipelines }) => pipelines === null || pipelines.includes(pipeline),
    );
    const lists = subject.flatMap((column) => {
      const tokens = entries
        .filter((entry) => [null, column.column, column.subject].includes(entry.column))
        .flatMap((entry) => entry.tokens);
      const type = columns.find(({ name }) => name === column.column)?.type;
      return tokens.length > 0 && type !== undefined ? [{ column, type, tokens }] : [];
    });
    if (lists.length === 0) return work(undefined);
    const key = await this.#key();
    const conditions = lists.map(({ column: { column, kind, region }, type, tokens }) => {
      const text = pseudonymText({ name: column, type, declared: { action: 'keep' } });
      const token = pseudonymSql(
        text,
        kind,
        key.version,
        kind === 'phone' ? registerPhoneForm(database, region) : '',
      );
      return `coalesce(${token} IN (${[...new Set(tokens)].map(quoteLiteral).join(', ')}), false)`;
    });
    return withPseudonymKey(database, key, () => work(`(${conditions.join(' OR ')})`));
  }

  /** Certificates of the erasures that a pipeline's sources must honour, in order: what they are read without. */
  async inForce(pipeline: string): Promise<string[]> {
    return (await this.#all())
      .filter(({ pipelines }) => pipelines === null || pipelines.includes(pipeline))
      .map(({ certificate }) => certificate)
      .sort();
  }

  async #all(): Promise<Suppression[]> {
    const found: Suppression[] = [];
    for await (const { value } of documentsBelow(this.store.documents, PREFIX))
      found.push(suppression.parse(value));
    return found;
  }

  /** One key for the whole list, of whatever key the keyring had first: keys that are replaced stay in it. */
  async #key(): Promise<PseudonymKey> {
    const { documents, keyring } = this.store;
    let found = await documents.read(SUPPRESSION_KEY);
    if (!found) {
      const { id } = await keyring.current();
      await documents.write(
        SUPPRESSION_KEY,
        keyDocument.parse({ keyId: id, salt: randomBytes(16).toString('hex') }),
        {
          ifVersion: null,
        },
      );
      found = await documents.read(SUPPRESSION_KEY);
    }
    const { keyId, salt } = keyDocument.parse(found?.value);
    return { key: await keyring.derived(keyId, 'suppression', salt), version: 's' };
  }
}
