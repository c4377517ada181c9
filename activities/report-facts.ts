import type { TrackingActivities } from '../contracts/activities.ts';
import { evaluationDetails } from '../contracts/evaluation-report.ts';
import { explanationReport } from '../contracts/explanation.ts';
import type { Plot } from '../lib/charts/plot.ts';
import type { ReportFacts } from '../lib/report/model-card/facts.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';

type RegisterInput = Parameters<TrackingActivities['register']>[0];

/** What the pages about a model are made from, without its version: what the stages gave, read from the store, and the charts. */
export async function reportFacts(
  store: ArtifactStore,
  input: RegisterInput,
): Promise<Omit<ReportFacts, 'version'> & { ownPlots: Plot[] }> {
  const { spec, evaluate, explain, train } = input;
  const stored = await Promise.all(
    [...evaluate.plots, ...(explain?.plots ?? [])].map(async ({ name, title, artifact }) => ({
      name,
      title,
      svg: (await store.bytes(artifact)).toString('utf8'),
    })),
  );
  // The charts are loaded only where they are drawn.
  const { runPlots } = await import('../lib/charts/run-plots.ts');
  const ownPlots = await runPlots(evaluate, train, spec.evaluation.metric);
  return {
    ...input,
    modelName: spec.deployment.endpoint,
    explanation: explain?.report ? explanationReport.parse(await store.json(explain.report)) : null,
    notExplained: explain?.warning ?? null,
    details: evaluate.details ? evaluationDetails.parse(await store.json(evaluate.details)) : null,
    plots: [...stored, ...ownPlots],
    ownPlots,
  };
}
