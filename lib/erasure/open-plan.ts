import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { type ArtifactRef, artifactRef } from '../../contracts/refs.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import type { PersonalStore, SearchTools } from './personal-store.ts';

const openPlan = z.strictObject({ plan: artifactRef, certificate: z.string() });
type OpenPlan = z.infer<typeof openPlan>;

/** The steps of all stores, in order. With the number no two erasures share a plan, not even one without steps. */
const storedPlan = z.strictObject({
  certificate: z.string(),
  steps: z.array(z.strictObject({ store: z.string(), step: z.unknown() })),
});
type StoredPlan = z.infer<typeof storedPlan>;
export type PlanSteps = StoredPlan['steps'];

const KEY = 'erasure/open';
/** That the steps of a plan were taken: an attempt whose answer was lost gives the same one again. */
const takenKey = ({ sha256 }: ArtifactRef): string => `erasure/taken/${sha256}`;

/** To be called when nobody asks about a plan any more. */
export const forgetPlan = async (
  { documents }: Pick<ArtifactStore, 'documents'>,
  plan: ArtifactRef,
): Promise<void> => {
  await documents.remove(takenKey(plan));
};

/** The plan whose steps are being taken; the garbage collector keeps it. */
export async function openPlanOf({
  documents,
}: Pick<ArtifactStore, 'documents'>): Promise<OpenPlan | undefined> {
  const found = await documents.read(KEY);
  return found && openPlan.parse(found.value);
}

export const isStoredPlan = (value: unknown): boolean => storedPlan.safeParse(value).success;

/** Stores a plan, encrypted: it says where in the tables the person stands. */
export const storePlan = (store: ArtifactStore, plan: StoredPlan): Promise<ArtifactRef> =>
  store.putJson(plan, { encrypt: true });

/**
 * Takes the steps of a plan. One plan is open at a time, written down before its first step: where the process is
 * killed, whoever comes next, for this person or another one, first finishes it. Half of a plan would leave matrices
 * that no longer fit their tables.
 *
 * @returns `false` where something changed since the plan was made: make another one
 */
export async function takeSteps(
  store: ArtifactStore,
  stores: readonly PersonalStore[],
  own: OpenPlan,
  tools: SearchTools,
): Promise<boolean> {
  const open = await openPlanOf(store);
  if (open?.certificate !== own.certificate && (await store.documents.read(takenKey(own.plan)))) return true;
  if (open && open.certificate !== own.certificate) {
    await finish(store, stores, open, tools);
    return false;
  }
  if (!open) {
    if ((await store.documents.write(KEY, own, { ifVersion: null })) === undefined) return false;
    if (!(await isCurrent(store, stores, own))) {
      await store.documents.remove(KEY);
      return false;
    }
  }
  await finish(store, stores, own, tools);
  return true;
}

const HOUSEKEEPING = 'housekeeping';
/** Work of housekeeping takes minutes at the most. */
const ABANDONED_MS = 3_600_000;

/**
 * Does work that rewrites what erasures rewrite, while none has a plan open: it holds their place by a plan without
 * steps. An erasure that comes meanwhile finishes that one, which is nothing, takes the place and plans anew; so does
 * one that comes after a kill. Before the work makes its result count it asks whether the place is still its own.
 *
 * @param work gets a question: whether no erasure has taken the place
 * @returns `false` where an erasure, or other work of this kind, is at it: nothing was done
 */
export async function unlessErasing(
  store: ArtifactStore,
  work: (isOurs: () => Promise<boolean>) => Promise<void>,
): Promise<boolean> {
  const { documents } = store;
  const found = await documents.read(KEY);
  if (found && !isAbandoned(openPlan.parse(found.value).certificate)) return false;
  const own: OpenPlan = {
    plan: await store.putJson({ certificate: HOUSEKEEPING, steps: [] } satisfies StoredPlan),
    certificate: `${HOUSEKEEPING} ${Date.now()} ${randomUUID()}`,
  };
  const version = await documents.write(KEY, own, { ifVersion: found?.version ?? null });
  if (version === undefined) return false;
  try {
    await work(async () => (await documents.read(KEY))?.version === version);
    return true;
  } finally {
    await documents.remove(KEY, { ifVersion: version });
  }
}

function isAbandoned(certificate: string): boolean {
  const [kind, at] = certificate.split(' ');
  return kind === HOUSEKEEPING && Date.now() - Number(at) > ABANDONED_MS;
}

async function finish(
  store: ArtifactStore,
  stores: readonly PersonalStore[],
  { plan, certificate }: OpenPlan,
  tools: SearchTools,
): Promise<void> {
  for (const [done, { store: name, step }] of (await stepsOf(store, plan)).entries()) {
    tools.signal.throwIfAborted();
    await storeNamed(stores, name).erase(step, certificate, tools);
    tools.progress(done + 1);
  }
  await store.documents.write(takenKey(plan), { certificate });
  await store.documents.remove(KEY);
}

async function isCurrent(
  store: ArtifactStore,
  stores: readonly PersonalStore[],
  { plan }: OpenPlan,
): Promise<boolean> {
  for (const { store: name, step } of await stepsOf(store, plan))
    if (!(await storeNamed(stores, name).isCurrent(step))) return false;
  return true;
}

const stepsOf = async (store: ArtifactStore, plan: ArtifactRef): Promise<PlanSteps> =>
  storedPlan.parse(await store.json(plan)).steps;

function storeNamed(stores: readonly PersonalStore[], name: string): PersonalStore {
  const found = stores.find((store) => store.name === name);
  if (found) return found;
  throw new PerennialError(
    'StageFailed',
    `an erasure that broke off concerns the store ${name}, which this worker does not know; run a worker of the same version`,
  );
}
