import { PerennialError } from '../contracts/errors.ts';
import { logger, shutdownSignal } from './runtime.ts';

type Role = (signal: AbortSignal) => Promise<void>;

/**
 * The processes of a platform, by name: `node main.js worker`, `serve`; and questions of the CLI, answered once. Each
 * loads what it needs alone: the model server answers before the Temporal SDK is there.
 */
const ROLES: Record<string, () => Promise<Role>> = {
  worker: async () => (await import('./worker.ts')).runWorker,
  serve: async () => {
    (await import('../serving/process/serving-fork.ts')).forkAhead();
    return (await import('./serve.ts')).runServer;
  },
  check: async () => (await import('./check.ts')).runCheck,
  person: async () => (await import('./person.ts')).runPerson,
  intake: async () => (await import('./intake.ts')).runIntake,
  profile: async () => (await import('./profile.ts')).runProfile,
  infer: async () => (await import('./profile.ts')).runInfer,
  rows: async () => (await import('./rows.ts')).runRows,
  predictions: async () => (await import('./predictions.ts')).runPredictions,
  feedback: async () => (await import('./feedback.ts')).runFeedback,
  audit: async () => (await import('./audit.ts')).runAudit,
  hindsight: async () => (await import('./hindsight.ts')).runHindsight,
  features: async () => (await import('./features.ts')).runFeatures,
  monitor: async () => (await import('./monitor.ts')).runMonitor,
};

const role = ROLES[process.argv[2] ?? ''];
if (!role) {
  process.stderr.write(`usage: main.js ${Object.keys(ROLES).join('|')}\n`);
  process.exit(2);
}
try {
  const signal = shutdownSignal();
  const run = await role();
  await run(signal);
  process.exit(0);
} catch (error) {
  // What people can mend is told without a stack.
  if (error instanceof PerennialError) logger.fatal({ code: error.code }, error.message);
  else logger.fatal({ error }, error instanceof Error ? error.message : String(error));
  process.exit(1);
}
