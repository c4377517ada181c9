import { PerennialError } from '../contracts/errors.ts';
import { describeIssues } from '../contracts/issues.ts';
import type { ArtifactRef } from '../contracts/refs.ts';
import {
  type RemoteTrainerRequest,
  type RemoteTrainerResult,
  remoteTrainerResult,
} from '../contracts/trainer.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';

/** What a protobuf can hold. */
const MAX_MODEL_BYTES = 2 ** 31 - 1;

/**
 * A request whose artifacts a worker of another language can read: references of what was erased are those of what took
 * its place.
 *
 * @throws PerennialError `InputInvalid` where one is encrypted, `ArtifactMissing`, `ArtifactErased`
 */
export async function readableByOthers(
  store: ArtifactStore,
  request: RemoteTrainerRequest,
): Promise<RemoteTrainerRequest> {
  const readable = async (ref: ArtifactRef, what: string): Promise<ArtifactRef> => {
    const current = await store.resolve(ref);
    if (await store.isEncrypted(current))
      throw new PerennialError(
        'InputInvalid',
        `The candidate "${request.candidate}" is trained by an activity, but the ${what} are encrypted at rest, ` +
          'and only our own workers read those: personal columns are left in the data, or PERENNIAL_ENCRYPT is all. ' +
          'Use trainer command, whose program gets a decrypted copy, or drop the personal columns (privacy.columns).',
      );
    if (!(await store.has(current)))
      throw new PerennialError(
        'ArtifactMissing',
        `The ${what} (${current.uri}) are not in the artifact store ${store.root}; run stage prepare again.`,
      );
    return current;
  };
  const part = async ({ features, labels, weights }: RemoteTrainerRequest['train'], of: string) => ({
    features: await readable(features, `features of the ${of} rows`),
    labels: await readable(labels, `labels of the ${of} rows`),
    ...(weights ? { weights: await readable(weights, `weights of the ${of} rows`) } : {}),
  });
  return {
    ...request,
    train: await part(request.train, 'training'),
    ...(request.validation ? { validation: await part(request.validation, 'validation') } : {}),
    featureNames: await readable(request.featureNames, 'names of the features'),
  };
}

/**
 * Takes the answer of somebody's own activity: its shape is checked, and its model must be in the store, with the bytes
 * that its digest names. The model is not loaded yet.
 *
 * @throws PerennialError `TrainerContract`, `ArtifactCorrupt`
 */
export async function remoteModel(
  store: ArtifactStore,
  answer: unknown,
  candidate: string,
): Promise<{ result: RemoteTrainerResult; onnx: Buffer }> {
  const broke = (what: string) =>
    new PerennialError(
      'TrainerContract',
      `The activity of candidate "${candidate}" ${what} See docs/trainers.md.`,
    );
  const parsed = remoteTrainerResult.safeParse(answer);
  if (!parsed.success)
    throw broke(`gave an answer that is no result of a training: ${describeIssues(parsed.error, answer)}.`);
  const { model } = parsed.data;
  if (model.bytes > MAX_MODEL_BYTES)
    throw broke(`gave a model of ${model.bytes} bytes; ONNX holds at most ${MAX_MODEL_BYTES}.`);
  if (!(await store.has(model)))
    throw broke(
      `gave a model (${model.uri}, ${model.bytes} bytes) that is not in the artifact store ${store.root}. Does its worker write to the same store, the whole file before it answers?`,
    );
  return { result: parsed.data, onnx: await store.bytes(model) };
}
