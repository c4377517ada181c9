import { z } from 'zod';
import { pairRecord, text } from './wire.ts';

/** A dataset a run read. */
export interface Dataset {
  /** Up to 500 characters. */
  readonly name: string;
  /** Fingerprint, up to 36 characters. */
  readonly digest: string;
  /** For example `local`, `s3`, `http`. */
  readonly sourceType: string;
  /** Where it came from, usually JSON; up to 65 535 characters. */
  readonly source: string;
  /** Its columns, usually JSON. */
  readonly schema?: string | undefined;
  /** Its statistics, usually JSON. */
  readonly profile?: string | undefined;
}

/** A dataset together with how the run used it. */
export interface DatasetInput {
  readonly dataset: Dataset;
  /** For example `{ 'mlflow.data.context': 'training' }`. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

export const datasetInputSchema = z
  .object({
    tags: pairRecord,
    dataset: z.object({
      name: z.string(),
      digest: z.string(),
      source_type: z.string().default(''),
      source: z.string().default(''),
      schema: text,
      profile: text,
    }),
  })
  .transform(
    ({ tags, dataset }): DatasetInput => ({
      tags,
      dataset: {
        name: dataset.name,
        digest: dataset.digest,
        sourceType: dataset.source_type,
        source: dataset.source,
        schema: dataset.schema,
        profile: dataset.profile,
      },
    }),
  );
