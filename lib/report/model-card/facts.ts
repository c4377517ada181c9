import type { EvaluationDetails } from '../../../contracts/evaluation-report.ts';
import type { ExplanationReport } from '../../../contracts/explanation.ts';
import { type MetricName, metricName } from '../../../contracts/spec/evaluation.ts';
import type { PipelineSpec } from '../../../contracts/spec/pipeline.ts';
import type {
  EvaluateOutput,
  GatesOutput,
  IngestOutput,
  PrepareOutput,
  ProtectOutput,
  SplitOutput,
  TrainOutput,
  ValidateOutput,
} from '../../../contracts/stages.ts';
import type { Plot } from '../../charts/plot.ts';

/** What a model card is made from. */
export interface ReportFacts {
  spec: PipelineSpec;
  modelName: string;
  /** `null` while the model is not registered yet. */
  version: string | null;
  run: { workflowId: string; runId: string };
  code: { commit: string | null; dirty: boolean };
  ingest: IngestOutput;
  validate: ValidateOutput;
  protect: ProtectOutput;
  split: SplitOutput;
  prepared: PrepareOutput;
  train: TrainOutput;
  evaluate: EvaluateOutput;
  gates: GatesOutput;
  /** `null` where there is none: then `notExplained` may say why. */
  explanation: ExplanationReport | null;
  notExplained: string | null;
  /** What stands behind the metrics; `null` in runs that did not keep it. */
  details: EvaluationDetails | null;
  /** Charts of all stages, under the names of their files. */
  plots: Plot[];
}

/** Metrics that any of the values has, in the house's order. */
export const metricNames = (...values: Partial<Record<MetricName, number>>[]): MetricName[] =>
  metricName.options.filter((name) => values.some((value) => value[name] !== undefined));

/** A metric's value as people compare it: four places, or four digits of large numbers. */
export const metricText = (value: number | undefined): string =>
  value === undefined ? '–' : Math.abs(value) >= 1000 ? value.toPrecision(5) : value.toFixed(4);

export const intervalText = (interval: { low: number; high: number } | undefined): string =>
  interval ? `${metricText(interval.low)} to ${metricText(interval.high)}` : '';

/** The model's name and version as commands take them. */
export const versionText = ({ modelName, version }: Pick<ReportFacts, 'modelName' | 'version'>): string =>
  `${modelName} ${version ?? 'VERSION'}`;
