import { createHash } from 'node:crypto';
import { version as duckdbVersion } from '@duckdb/node-api';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { packageVersion } from '../package-version.ts';

/** What makes two runs of a stage the same. */
export interface StageIdentity {
  /** Name of the stage. */
  stage: string;
  /** Raised by hand when the stage's code gives another result for the same input. */
  codeVersion: number;
  /** All that the stage works from; artifact references count by their digest. */
  input: unknown;
  /** Digests of code that the input only names, such as bundled custom modules. */
  extra?: readonly string[];
}

/**
 * The key of a stage's result: SHA-256 over stage, code version, versions of this package and of DuckDB, input and
 * extra digests.
 *
 * @returns 64 hex digits
 * @throws TypeError where the input cannot be written as JSON
 */
export async function cacheKey({ stage, codeVersion, input, extra = [] }: StageIdentity): Promise<string> {
  const identity = canonicalJson({
    stage,
    codeVersion,
    perennial: await packageVersion(),
    duckdb: duckdbVersion(),
    input,
    extra: [...extra].sort(),
  });
  return createHash('sha256').update(identity).digest('hex');
}
