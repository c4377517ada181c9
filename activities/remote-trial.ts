import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ArtifactRef, MEDIA_TYPES } from '../contracts/refs.ts';
import type { TrainingActivities, TrialInput } from '../contracts/training-activities.ts';
import { remoteRequest } from '../domain/remote-training.ts';
import { TRAINER_STDERR } from '../lib/processes/run-program.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { framed } from './frame.ts';
import { judgedTrial } from './judged-trial.ts';
import { RecordedRows } from './recorded-rows.ts';
import { readableByOthers, remoteModel } from './remote-training.ts';
import { weightFiles } from './trainer-request.ts';
import { TrialRecord } from './trial-record.ts';

/** Before and after a trainer that is an activity of somebody's own worker. */
export function remoteTrials(
  deps: ActivityDependencies,
): Pick<TrainingActivities, 'openRemoteTrial' | 'judgeRemoteTrial'> {
  return {
    openRemoteTrial: framed(deps.config, async (input, frame) => {
      const scratchDir = await frame.scratch();
      const store = (await deps.store()).within(scratchDir);
      const weights = await storedWeights(store, input, scratchDir);
      const { candidate, problem, training, data, parameters, maxSeconds } = input;
      const request = remoteRequest({
        candidate,
        task: problem.task,
        split: problem,
        training,
        prepared: data,
        parameters,
        ...(weights ? { weights } : {}),
        ...(maxSeconds === null ? {} : { maxSeconds }),
      });
      return { request: await readableByOthers(store, request) };
    }),

    judgeRemoteTrial: framed(deps.config, async ({ trial: input, answer, seconds }, frame) => {
      const scratchDir = await frame.scratch();
      const store = (await deps.store()).within(scratchDir);
      const record = await TrialRecord.open(deps.mlflow(), input, frame);
      const said = join(scratchDir, TRAINER_STDERR);
      try {
        const { result, onnx } = await remoteModel(store, answer, input.candidate.name);
        const modelPath = join(scratchDir, 'model.onnx');
        await writeFile(modelPath, onnx, { mode: 0o600 });
        const judged = await judgedTrial(store, input, { result, modelPath }, scratchDir, frame.signal);
        const outcome = { ...judged, mlflowRunId: record.runId, seconds };
        await record.finish(outcome, said);
        return outcome;
      } catch (error) {
        await record.fail(frame.signal.aborted ? 'KILLED' : 'FAILED', said);
        throw error;
      } finally {
        record.close();
      }
    }),
  };
}

/** Weights of the rows as artifacts; they go with the rows of the labels that they were made from. */
async function storedWeights(
  store: ArtifactStore,
  input: TrialInput,
  scratchDir: string,
): Promise<Record<'train' | 'validation', ArtifactRef> | undefined> {
  const { data, pipeline, problem } = input;
  const files = await weightFiles(store, input, scratchDir);
  if (!files) return undefined;
  const stored = async (part: 'train' | 'validation'): Promise<ArtifactRef> => {
    const artifact = await store.putFile(files[part], MEDIA_TYPES.npy, { encrypt: problem.sensitive });
    await new RecordedRows(store).answers(pipeline, artifact, data[part].features);
    return artifact;
  };
  return { train: await stored('train'), validation: await stored('validation') };
}
