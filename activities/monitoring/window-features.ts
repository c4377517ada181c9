import { PerennialError } from '../../contracts/errors.ts';
import type { ViewParity, WindowReport } from '../../contracts/monitoring.ts';
import type { LoadableModel } from '../../contracts/registered-version.ts';
import type { MonitoringSpec } from '../../contracts/spec/monitoring.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import type { Database } from '../../lib/duckdb/database.ts';
import { FeatureRecords, plansBySpec } from '../../lib/feature-store/feature-records.ts';
import { featureParity } from '../../lib/feature-store/parity.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import type { ActivityFrame } from '../frame.ts';
import { viewSources } from '../view-sources.ts';

/** What is compared, or why it could not be. */
export interface WindowFeatures {
  features?: NonNullable<WindowReport['features']>;
  warning?: string;
}

/**
 * Holds the features that servers looked up in a window against the sources as they are now. A source that cannot be
 * read keeps no window from being looked at: it is told.
 */
export async function windowFeatures(
  deps: ActivityDependencies,
  { spec, monitoring, model }: { spec: PipelineSpec; monitoring: MonitoringSpec; model: LoadableModel },
  log: Database,
  frame: ActivityFrame,
): Promise<WindowFeatures> {
  const { views } = model;
  if (monitoring.features === false || !views) return {};
  const store = await deps.store();
  const record = await new FeatureRecords(store.documents).find(spec.name);
  const bySpec = plansBySpec(
    record?.definitions ?? {},
    views.map((view) => view.store),
  );
  if (bySpec.length === 0)
    return { warning: 'looked-up features were not compared: no view of the version is kept online' };
  try {
    const features: ViewParity[] = [];
    for (const { specRef, plans } of bySpec)
      features.push(
        ...(await featureParity(log, {
          model: { version: model.version, onnx: model.onnx, views },
          plans,
          sources: await viewSources(deps, pipelineSpec.parse(await store.json(specRef)), frame),
          rows: monitoring.features.rows,
          scratchDir: await frame.scratch(),
          memoryLimit: frame.duckdbMemory,
          signal: frame.signal,
        })),
      );
    return features.length > 0 ? { features } : {};
  } catch (error) {
    if (!(error instanceof PerennialError) || error.retryable || frame.signal.aborted) throw error;
    return { warning: `looked-up features were not compared: ${error.message}`.slice(0, 500) };
  }
}
