import { type FeatureRecord, featureRecord, type ViewPlan } from '../../contracts/feature-store.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';
import { fileName } from '../predictions/log-files.ts';
import { type Documents, documentsBelow, updateDocument } from '../store/documents.ts';

/** Documents of the views that are kept online lie below. */
export const FEATURES = 'features/';
const RECORDS = `${FEATURES}pipelines/`;

/** Which views are kept online for each pipeline: documents in the artifact store. */
export class FeatureRecords {
  constructor(private readonly documents: Documents) {}

  async find(pipeline: string): Promise<FeatureRecord | undefined> {
    const found = await this.documents.read(`${RECORDS}${fileName(pipeline)}`);
    return found && featureRecord.parse(found.value);
  }

  /** @param change gets what is on record; `undefined` leaves it as it is */
  async change(
    pipeline: string,
    change: (record: FeatureRecord | undefined) => FeatureRecord | undefined,
  ): Promise<FeatureRecord | undefined> {
    const value = await updateDocument(this.documents, `${RECORDS}${fileName(pipeline)}`, (found) =>
      change(found === undefined ? undefined : featureRecord.parse(found)),
    );
    return value === undefined ? undefined : featureRecord.parse(value);
  }

  async all(): Promise<FeatureRecord[]> {
    const found: FeatureRecord[] = [];
    for await (const { value } of documentsBelow(this.documents, RECORDS))
      found.push(featureRecord.parse(value));
    return found;
  }
}

/** The views among these that are on record, by the spec that has them. */
export function plansBySpec(
  definitions: FeatureRecord['definitions'],
  ids: Iterable<string>,
): { specRef: ArtifactRef; plans: Map<string, ViewPlan> }[] {
  const found = new Map<string, { specRef: ArtifactRef; plans: Map<string, ViewPlan> }>();
  for (const id of ids) {
    const definition = definitions[id];
    if (!definition) continue;
    const { specRef, plan } = definition;
    const { plans } = found.get(specRef.sha256) ?? { plans: new Map<string, ViewPlan>() };
    found.set(specRef.sha256, { specRef, plans: plans.set(id, plan) });
  }
  return [...found.values()];
}
