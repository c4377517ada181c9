import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { ModelOfPerson, Unsearched } from '../../contracts/erasure.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import { documentsBelow } from '../store/documents.ts';
import type { SubjectSpec } from './subject-column.ts';

const trainedModel = z.strictObject({
  name: z.string(),
  version: z.string(),
  pipeline: z.string(),
  /** Digests of the parts, as they stood when the model was trained. */
  train: z.string(),
  validation: z.string(),
});
export type TrainedModel = z.infer<typeof trainedModel>;

/** A model of a person, before MLflow is asked for its aliases. */
export type FoundModel = Omit<ModelOfPerson, 'aliases'>;

const PREFIX = 'models/';
const PARTS = ['train', 'validation'] as const;

const keyOf = ({ name, version }: Pick<TrainedModel, 'name' | 'version'>): string =>
  PREFIX + createHash('sha256').update(`${name}/${version}`).digest('hex').slice(0, 32);

/**
 * Which registered versions were trained on which parts: a document for each, written when it is registered.
 *
 * @example
 * await new TrainedModels(store).record(spec, {
 *   name, version, train: split.train.artifact.sha256, validation: split.validation.artifact.sha256,
 * });
 */
export class TrainedModels {
  constructor(private readonly store: Pick<ArtifactStore, 'documents' | 'erasures'>) {}

  /** Nothing for a pipeline without `privacy.subject`; the same once more changes nothing. */
  async record(spec: SubjectSpec, model: Omit<TrainedModel, 'pipeline'>): Promise<void> {
    if (spec.privacy.subject.length === 0) return;
    await this.store.documents.write(keyOf(model), trainedModel.parse({ ...model, pipeline: spec.name }));
  }

  /**
   * The versions whose rows held the person, also where other people were taken out of these rows since.
   *
   * @param concerns whether a pipeline is looked at
   * @param holds whether a part, as it stands now, holds the person; `undefined` where nobody can say
   */
  async of(
    concerns: (pipelines: readonly string[]) => boolean,
    holds: (sha256: string) => boolean | undefined,
  ): Promise<{ models: FoundModel[]; unsearched: Unsearched[] }> {
    const models: FoundModel[] = [];
    const unknown = new Map<string, Unsearched>();
    const followed = await this.store.erasures.followed();
    const inForce = (sha256: string): string => [...followed([sha256])].at(-1) ?? sha256;
    for await (const { value } of documentsBelow(this.store.documents, PREFIX)) {
      const { name, version, pipeline, ...parts } = trainedModel.parse(value);
      if (!concerns([pipeline])) continue;
      const answers = PARTS.map((part) => ({ part, held: holds(inForce(parts[part])) }));
      const held = answers.flatMap((answer) => (answer.held ? [answer.part] : []));
      if (held.length > 0) models.push({ name, version, pipeline, parts: held });
      else if (answers.some((answer) => answer.held === undefined)) {
        const { places } = unknown.get(name) ?? { places: 0 };
        unknown.set(name, {
          store: 'models',
          kind: `versions of ${name}`,
          places: places + 1,
          pipelines: [pipeline],
          why: 'the rows that they were trained on are no longer in the store, or could not be looked through',
        });
      }
    }
    const byName = (a: FoundModel, b: FoundModel): number =>
      a.name.localeCompare(b.name, 'en') || Number(a.version) - Number(b.version);
    return { models: models.sort(byName), unsearched: [...unknown.values()] };
  }
}
