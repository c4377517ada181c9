import type { PredictionLogPolicy } from '../../contracts/serving.ts';
import { EntityKey } from '../../lib/predictions/entity-key.ts';
import { logKey } from '../../lib/predictions/log-key.ts';
import type { TruthRecord } from '../../lib/predictions/records.ts';
import { type PredictionConfig, segmentsFolder } from '../../lib/predictions/settings.ts';
import { Spool, type SpoolLimits, type SpoolRefusal } from '../../lib/predictions/spool.ts';
import { epochMs } from '../../lib/predictions/wall-clock.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import type { Prediction, PredictionListener } from '../prediction.ts';
import { samplePoint } from '../sampling.ts';
import { RecordLayouts } from './record-layouts.ts';
import { SegmentLog, type SegmentLogOptions } from './segment-log.ts';

/** Why something was not recorded: the disk's room or failure, the memory's room, its own size, or an error of ours. */
export type DropReason = 'disk' | 'room' | SpoolRefusal | 'error';

/** What the log counts; a plain object for whoever shows it. */
export interface PredictionLogStats {
  /** Requests on record since the start, shadow copies included. */
  recorded: number;
  /** Rows of them. */
  rows: number;
  /** What was said to be true. */
  truths: number;
  /** Requests and truths that were not recorded though they should have been. */
  dropped: Readonly<Record<DropReason, number>>;
  /** Requests with an entity whose pseudonym could not be made: the keyring was not to be had. */
  withoutEntity: number;
  /** Bytes written since the start. */
  bytes: number;
  /** Bytes in memory, not written yet. */
  bufferedBytes: number;
  /** Seconds since the oldest record came that a power cut would lose. */
  unsyncedSeconds: number;
  /** Bytes of segments in the server's folder, not archived yet. */
  spoolBytes: number;
  /** Segments there that could not be read and were set aside. */
  unreadable: number;
  /** Whether records reach the disk. */
  healthy: boolean;
}

/** What a {@link PredictionLog} needs. */
export interface PredictionLogOptions
  extends Pick<SegmentLogOptions, 'serverId' | 'writeMs' | 'rotateMs' | 'rotateBytes'> {
  readonly config: PredictionConfig;
  readonly store: Pick<ArtifactStore, 'documents' | 'keyring'>;
  /** What of an endpoint is recorded; `undefined`, for a candidate without routes, means all. */
  readonly policy: (endpoint: string) => PredictionLogPolicy | undefined;
  /** Told once when the disk fails, and once when it is back. */
  readonly logger: { warn(facts: object, message: string): void; info(facts: object, message: string): void };
  readonly memory?: SpoolLimits | undefined;
}

const ALL: PredictionLogPolicy = { sample: 1, features: true };
const KEY_RETRY_MS = 30_000;

/**
 * Puts every sampled answer on record. Listening copies a prediction into memory and returns; writing goes on beside
 * the requests. Whatever becomes of the disk, no request waits or fails for it.
 *
 * @example
 * const log = await createPredictionLog({ config, serverId, store, logger, policy: (name) => host.state(name)?.table.log });
 * dataPlane.listen(log);
 * // … at the end, after the last answer
 * await log.close();
 */
export class PredictionLog implements PredictionListener {
  readonly #spool: Spool;
  readonly #segments: SegmentLog;
  readonly #layouts = new RecordLayouts();
  readonly #dropped: Record<DropReason, number> = { disk: 0, room: 0, memory: 0, size: 0, error: 0 };
  #recorded = 0;
  #rows = 0;
  #truths = 0;
  #withoutEntity = 0;
  #entityKey: EntityKey | undefined;
  #keyAskedAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: PredictionLogOptions) {
    const { config, store, serverId, logger, writeMs, rotateMs, rotateBytes } = options;
    this.#spool = new Spool(options.memory);
    this.#segments = new SegmentLog(this.#spool, {
      folder: segmentsFolder(config),
      serverId,
      key: () => logKey(config, store.keyring),
      writeMs,
      rotateMs,
      rotateBytes,
      syncMs: config.predictions?.syncMs,
      spoolBytes: config.predictions?.spoolBytes,
      onChange: (failing) =>
        failing === undefined
          ? logger.info({}, 'predictions are put on record again')
          : logger.warn(
              { reason: failing },
              'predictions cannot be put on record; serving goes on, and they wait in memory as far as it reaches',
            ),
    });
  }

  /** A candidate answers nobody who uses it: pre-deployment checks ask, and must not be among what was predicted. */
  answered(prediction: Prediction, seconds: number): void {
    if (prediction.role !== 'candidate') this.#record(prediction, seconds);
  }

  shadowed(prediction: Prediction, seconds: number): void {
    this.#record(prediction, seconds);
  }

  /**
   * Puts what turned out to be true on record.
   *
   * @returns whether all of it is on disk; where it is not, send it again: the same truth counts once
   */
  async recordTruths(truths: readonly TruthRecord[]): Promise<boolean> {
    for (const truth of truths) {
      const refusal = this.#segments.isFull ? 'room' : this.#spool.addTruth(truth);
      if (refusal !== undefined) {
        this.#drop(refusal);
        return false;
      }
      this.#truths += 1;
    }
    return this.#segments.flush();
  }

  /** The pseudonyms of entities. @throws PerennialError `KeyringInvalid`, `StoreUnavailable` */
  async entityKey(): Promise<EntityKey> {
    this.#entityKey ??= await EntityKey.open(this.options.store, segmentsFolder(this.options.config));
    return this.#entityKey;
  }

  stats(): PredictionLogStats {
    return {
      recorded: this.#recorded,
      rows: this.#rows,
      truths: this.#truths,
      dropped: { ...this.#dropped },
      withoutEntity: this.#withoutEntity,
      bytes: this.#segments.bytes,
      bufferedBytes: this.#spool.bytes,
      unsyncedSeconds: this.#segments.unsyncedSeconds,
      spoolBytes: this.#segments.spoolBytes,
      unreadable: this.#segments.unreadable,
      healthy: this.#segments.failing === undefined && !this.#segments.isFull,
    };
  }

  /** Puts everything on disk. @returns whether that went well */
  flush(): Promise<boolean> {
    return this.#segments.flush();
  }

  /** Writes what is left. Later predictions are not recorded. */
  close(): Promise<void> {
    return this.#segments.close();
  }

  #record(prediction: Prediction, seconds: number): void {
    try {
      const { sample } = this.#policyOf(prediction);
      if (sample < 1 && samplePoint(prediction.call.arrived) >= sample) return;
      const refusal = this.#segments.isFull ? 'room' : this.#add(prediction, seconds);
      if (refusal !== undefined) {
        this.#drop(refusal);
        return;
      }
      this.#recorded += 1;
      this.#rows += prediction.outputs.rows;
    } catch {
      // An answer is worth more than its record.
      this.#drop('error');
    }
  }

  #add(prediction: Prediction, seconds: number): SpoolRefusal | undefined {
    const { call, model, outputs, entity = call.entity } = prediction;
    const { features } = this.#policyOf(prediction);
    return this.#spool.addPrediction({
      layout: this.#layouts.of(call.endpoint, model.served, outputs, features),
      // Of copies too: so they are told apart from other requests of the same id.
      at: call.recordedAt ?? epochMs(call.arrived),
      requestId: call.requestId,
      entity: entity === undefined ? undefined : this.#pseudonym(entity),
      role: prediction.role,
      reason: prediction.reason,
      insteadOf: prediction.insteadOf,
      generation: prediction.generation,
      latencyMs: seconds * 1000,
      batch: prediction.batch,
      // Where nothing is encrypted, no entity is on record.
      keys: this.#entityKey && prediction.batch.keys,
      views: prediction.features?.views,
      outputs,
    });
  }

  #policyOf({ call }: Prediction): PredictionLogPolicy {
    return this.options.policy(call.endpoint) ?? ALL;
  }

  #drop(reason: DropReason): void {
    this.#dropped[reason === 'memory' && this.#segments.failing !== undefined ? 'disk' : reason] += 1;
  }

  #pseudonym(entity: string): string | undefined {
    if (this.#entityKey) return this.#entityKey.pseudonym(entity);
    this.#withoutEntity += 1;
    const now = performance.now();
    if (now - this.#keyAskedAt > KEY_RETRY_MS) {
      this.#keyAskedAt = now;
      this.entityKey().catch(() => undefined);
    }
    return undefined;
  }
}

/** A log that is ready to listen. It comes into being whatever the disk and the keyring say: they are tried again. */
export async function createPredictionLog(options: PredictionLogOptions): Promise<PredictionLog> {
  const log = new PredictionLog(options);
  await log
    .entityKey()
    .catch((error: unknown) =>
      options.logger.warn(
        { reason: error instanceof Error ? error.message : 'unknown' },
        'entities cannot be put on record yet: their pseudonyms need the keyring',
      ),
    );
  return log;
}
