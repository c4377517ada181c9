import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';
import { normalForm } from '../privacy/normal-form.ts';
import { pseudonymOf } from '../privacy/pseudonym.ts';
import type { Secrets } from '../secrets.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import { keyCheck, type SubjectColumn } from './subject-column.ts';

const names = z.array(z.string().min(1).max(200)).min(1);

/** Who is to be erased, as a person says it. */
export const personRequest = z.strictObject({
  /** As it stands in the data. */
  entity: z.string().trim().min(1, 'the id of the person is empty').max(1_000),
  /** Only where it stands in this column of `privacy.subject`; `null`: in any of them. */
  column: z.string().min(1).max(200).nullable().default(null),
  /** Only in the rows of these pipelines; `null`: of all. */
  pipelines: names.nullable().default(null),
});
export type PersonRequest = z.infer<typeof personRequest>;

const storedRequest = personRequest.extend({ salt: z.string() });

export const isStoredRequest = (value: unknown): boolean => storedRequest.safeParse(value).success;

/**
 * Stores who is to be erased, encrypted. The random salt makes the digest, which stands in workflow histories, say
 * nothing.
 */
export async function storePerson(store: ArtifactStore, request: PersonRequest): Promise<ArtifactRef> {
  return store.putJson({ ...request, salt: randomBytes(32).toString('hex') }, { encrypt: true });
}

function unlessJson(error: unknown): undefined {
  if (!(error instanceof SyntaxError)) throw error;
}

/** One person, for as long as an activity works on the erasure. */
export class Person {
  private constructor(
    private readonly request: PersonRequest,
    private readonly secrets: Secrets,
  ) {}

  /** @throws PerennialError `InputInvalid` where the artifact is no request */
  static async load(store: ArtifactStore, ref: ArtifactRef, secrets: Secrets): Promise<Person> {
    const parsed = storedRequest.safeParse(await store.json(ref).catch(unlessJson));
    // The issues are not told: they may quote the person.
    if (!parsed.success)
      throw new PerennialError('InputInvalid', `artifact ${ref.uri} is no request of an erasure`);
    return new Person(parsed.data, secrets);
  }

  /** @example Person.of({ entity: '4711', column: null, pipelines: null }, new Secrets(process.env)) */
  static of(request: PersonRequest, secrets: Secrets): Person {
    return new Person(request, secrets);
  }

  get column(): string | null {
    return this.request.column;
  }

  get pipelines(): readonly string[] | null {
    return this.request.pipelines;
  }

  /** Whether the request is about any of these pipelines. */
  concerns(pipelines: readonly string[]): boolean {
    return this.pipelines === null || pipelines.some((name) => this.pipelines?.includes(name));
  }

  /** The columns in which the request has the person looked for. */
  columnsOf(subject: readonly SubjectColumn[]): SubjectColumn[] {
    return subject.filter(({ column, subject: name }) => [null, column, name].includes(this.column));
  }

  /** What stands in the column where the row is the person's: the normal form of the id, or its pseudonym. */
  valueIn({ kind, region, key }: SubjectColumn): string {
    const { entity } = this.request;
    if (key === undefined) return normalForm(entity, kind, region);
    return pseudonymOf(entity, kind, { key: this.#keyOf(key), version: key.version }, region);
  }

  /** The pseudonyms of the id under a key, for all kinds of columns; each once. */
  tokens(
    kinds: readonly Pick<SubjectColumn, 'kind' | 'region'>[],
    key: Parameters<typeof pseudonymOf>[2],
  ): string[] {
    const all = kinds.map(({ kind, region }) => pseudonymOf(this.request.entity, kind, key, region));
    return [...new Set(all)].sort();
  }

  /** The key that the pseudonyms were made with: a key that was replaced stays under its version. */
  #keyOf({ reference, version, check }: NonNullable<SubjectColumn['key']>): string {
    const older = reference.replace(/\}$/, `_${version.toUpperCase()}}`);
    for (const candidate of [reference, older]) {
      const key = this.#resolved(candidate);
      if (key !== undefined && keyCheck(key) === check) return key;
    }
    throw new PerennialError(
      'SecretMissing',
      `the key of the pseudonyms of version ${version} cannot be had from ${reference} or ${older}; set one of these variables on the worker, then erase again`,
    );
  }

  #resolved(reference: string): string | undefined {
    try {
      return this.secrets.resolve(reference);
    } catch (error) {
      if (error instanceof PerennialError && error.code === 'SecretMissing') return undefined;
      throw error;
    }
  }
}
