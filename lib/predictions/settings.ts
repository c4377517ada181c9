import { join, resolve } from 'node:path';
import { duration, durationMs } from '../../contracts/durations.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { sizeBytes } from '../../contracts/sizes.ts';
import type { PerennialConfig } from '../config.ts';
import { type StoreLocation, storeLocation } from '../store/store-location.ts';

/** What the environment says of the prediction log. */
export interface PredictionSettings {
  /** Where the Parquet files lie; default: below the artifact store where that is a bucket, else in the data directory. */
  archive?: StoreLocation;
  /** Milliseconds after which answers and truth are deleted; `null`: never. Default 90 days. */
  keepMs?: number | null;
  /** Milliseconds between two synchronisations with the disk; default 1000. */
  syncMs?: number;
  /** The most bytes of segments on the disk of a server; default 2 GB. */
  spoolBytes?: number;
  /** Whether the model server takes recorded traffic; then nothing is deleted by age unless `keepMs` says so. */
  replay?: boolean;
}

/** The variables that {@link predictionSettings} reads. */
export const PREDICTION_VARIABLES = {
  PERENNIAL_PREDICTIONS:
    'where recorded predictions lie: file:FOLDER or s3://BUCKET/PREFIX (default: predictions below an artifact store on S3, else below the data dir)',
  PERENNIAL_PREDICTIONS_KEEP:
    'how long predictions and their truth are kept, such as 90d, or forever (default 90d)',
  PERENNIAL_PREDICTIONS_SYNC:
    'how often recorded predictions are put on disk for good; so much a power cut may lose (default 1s)',
  PERENNIAL_PREDICTIONS_SPOOL:
    'room for recorded predictions before they are archived, of each server (default 2GB)',
  PERENNIAL_REPLAY:
    'for demonstrations, tests and recorded traffic: 1 makes the model server put requests on record at the time that their header perennial-time says (default 0)',
} as const;

export const DEFAULT_KEEP_MS = durationMs('90d');
export const DEFAULT_SYNC_MS = 1_000;
export const DEFAULT_SPOOL_BYTES = 2e9;

/**
 * Reads what the environment says.
 *
 * @throws PerennialError `InputInvalid`
 */
export function predictionSettings(
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
): PredictionSettings {
  const archive = env.PERENNIAL_PREDICTIONS;
  const keep = env.PERENNIAL_PREDICTIONS_KEEP;
  const sync = env.PERENNIAL_PREDICTIONS_SYNC;
  const spool = env.PERENNIAL_PREDICTIONS_SPOOL;
  const replay = replayOf(env.PERENNIAL_REPLAY);
  return {
    ...(archive
      ? {
          archive: storeLocation(
            archive,
            {
              cwd,
              endpoint: env.PERENNIAL_ARTIFACT_STORE_ENDPOINT || undefined,
              region: env.AWS_REGION || undefined,
            },
            'PERENNIAL_PREDICTIONS',
          ),
        }
      : {}),
    // Days long past would go the moment that they are there.
    ...(replay && !keep ? { keepMs: null } : {}),
    ...(keep ? { keepMs: keep === 'forever' ? null : millis('PERENNIAL_PREDICTIONS_KEEP', keep) } : {}),
    ...(sync ? { syncMs: millis('PERENNIAL_PREDICTIONS_SYNC', sync) } : {}),
    ...(spool ? { spoolBytes: bytes('PERENNIAL_PREDICTIONS_SPOOL', spool) } : {}),
    ...(replay ? { replay } : {}),
  };
}

function replayOf(text = '0'): boolean {
  if (['', '0', 'false'].includes(text)) return false;
  if (['1', 'true'].includes(text)) return true;
  throw new PerennialError('InputInvalid', `PERENNIAL_REPLAY is "${text}"; expected 1 or 0`);
}

function millis(variable: string, text: string): number {
  const parsed = duration.safeParse(text);
  if (parsed.success) return durationMs(parsed.data);
  throw new PerennialError(
    'InputInvalid',
    `${variable} is "${text}"; expected a duration such as 30s or 90d`,
  );
}

function bytes(variable: string, text: string): number {
  const parsed = sizeBytes(text);
  if (parsed !== undefined) return parsed;
  throw new PerennialError('InputInvalid', `${variable} is "${text}"; expected a size such as 500MB or 2GB`);
}

/** The part of a configuration that the prediction log needs. */
export type PredictionConfig = Pick<
  PerennialConfig,
  'dataDir' | 'artifactStore' | 'artifactCache' | 'keyring' | 'encryptAll' | 'predictions'
>;

/** Where the archive of a configuration lies. */
export function archiveLocation({ predictions, artifactStore, dataDir }: PredictionConfig): StoreLocation {
  if (predictions?.archive) return predictions.archive;
  if (artifactStore?.kind !== 's3')
    return { kind: 'file', root: join(resolve(dataDir), 'predictions', 'archive') };
  const prefix = artifactStore.prefix === '' ? 'predictions' : `${artifactStore.prefix}/predictions`;
  return { ...artifactStore, prefix, root: `s3://${artifactStore.bucket}/${prefix}` };
}

/** The folder of the segments that are not archived yet, of all servers on this data directory. */
export const segmentsFolder = ({ dataDir }: Pick<PerennialConfig, 'dataDir'>): string =>
  join(resolve(dataDir), 'predictions', 'segments');
