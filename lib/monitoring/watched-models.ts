import { z } from 'zod';
import { type LoadableModel, servingFile } from '../../contracts/registered-version.ts';
import { servedModel } from '../../contracts/serving.ts';
import type { Documents } from '../store/documents.ts';
import { MONITORING } from './monitor-records.ts';

const loadable = z.object({ ...servedModel.shape, ...servingFile.shape });

/**
 * What the registry says of versions whose predictions are watched. A version never changes, so that the registry is
 * asked once: windows are looked at while it is out.
 */
export class WatchedModels {
  constructor(private readonly documents: Documents) {}

  /** @param load asks the registry; `undefined` where the version is none of Perennial's */
  async get(
    endpoint: string,
    version: string,
    load: () => Promise<LoadableModel | undefined>,
  ): Promise<LoadableModel | undefined> {
    const key = `${MONITORING}models/${endpoint}/${version}`;
    const known = loadable.safeParse((await this.documents.read(key))?.value);
    if (known.success) return known.data;
    const model = await load();
    if (model) await this.documents.write(key, model);
    return model;
  }
}
