import type { z } from 'zod';
import type {
  CacheList,
  CacheRemoval,
  collectCacheInput,
  listCacheInput,
  removeCachedInput,
} from './cache.ts';
import type { ErasureFindings, ErasurePlan, ErasureResult } from './erasure.ts';
import type { HousekeepingResult, housekeepingInput } from './housekeeping.ts';
import type { artifactStates, lineageInput } from './lineage.ts';
import type { ArtifactRef } from './refs.ts';
import type { ReproductionPlan, ReproductionResult, reproductionInput } from './reproduction.ts';
import type { RunIdentity, Tracking } from './run.ts';

/** Activities that tidy up. */
export interface HousekeepingActivities {
  collectGarbage(input: z.output<typeof housekeepingInput>): Promise<HousekeepingResult>;
}

/** What every step of an erasure knows: who is meant, and under which number. */
export interface ErasureStep {
  request: ArtifactRef;
  certificate: string;
}

/** Activities that take one person out of all stores. Who it is stands in the request artifact alone. */
export interface ErasureActivities {
  /** From now on no ingest takes the person in again. */
  suppressPerson(input: ErasureStep & { at: string }): Promise<void>;
  /** Looks for the person everywhere; changes nothing. */
  planErasure(input: ErasureStep): Promise<ErasurePlan>;
  /**
   * Takes the steps of a plan, each of them once, however often it is started. Not taken where something changed since
   * the plan was made: make another one.
   */
  erasePerson(input: { plan: ArtifactRef; certificate: string }): Promise<{ taken: boolean }>;
  /** Writes the certificate, and marks the model versions. */
  certifyErasure(input: {
    certificate: string;
    at: string;
    by: string;
    reason: string;
    complete: boolean;
    findings: ErasureFindings;
  }): Promise<ErasureResult>;
  /** Deletes what the erasure itself stored of the person: the request and its plans. */
  forgetRequest(input: { certificate: string; artifacts: ArtifactRef[] }): Promise<void>;
}

/** Activities that show and tidy the step cache. */
export interface CacheActivities {
  listCache(input: z.output<typeof listCacheInput>): Promise<CacheList>;
  removeCached(input: z.output<typeof removeCachedInput>): Promise<CacheRemoval>;
  collectCache(input: z.output<typeof collectCacheInput>): Promise<CacheRemoval>;
}

/** Activities that look back: what became of artifacts, and versions that are made again. */
export interface LineageActivities {
  artifactStates(input: z.output<typeof lineageInput>): Promise<z.output<typeof artifactStates>>;
  /** What a version is made again from; opens the MLflow run of the reproduction. */
  openReproduction(
    input: z.output<typeof reproductionInput> & { run: RunIdentity },
  ): Promise<ReproductionPlan>;
  /** Writes the verdict and closes the run. @param input.result `null` where there is none, for it failed */
  closeReproduction(input: {
    tracking: Tracking;
    result: ReproductionResult | null;
    status: 'FINISHED' | 'FAILED' | 'KILLED';
  }): Promise<void>;
}
