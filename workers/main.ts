import { PerennialError } from '../contracts/errors.ts';
import { runCheck } from './check.ts';
import { runFeedback } from './feedback.ts';
import { runIntake } from './intake.ts';
import { runPerson } from './person.ts';
import { runPredictions } from './predictions.ts';
import { runInfer, runProfile } from './profile.ts';
import { installRuntime, logger, shutdownSignal } from './runtime.ts';
import { runServer } from './serve.ts';
import { runWorker } from './worker.ts';

/** The processes of a platform, by name: `node main.js worker`, `serve`; and questions of the CLI, answered once. */
const ROLES: Record<string, (signal: AbortSignal) => Promise<void>> = {
  worker: runWorker,
  serve: runServer,
  check: runCheck,
  person: runPerson,
  intake: runIntake,
  profile: runProfile,
  infer: runInfer,
  predictions: runPredictions,
  feedback: runFeedback,
};

const role = ROLES[process.argv[2] ?? ''];
if (!role) {
  process.stderr.write(`usage: main.js ${Object.keys(ROLES).join('|')}\n`);
  process.exit(2);
}
installRuntime();
try {
  await role(shutdownSignal());
  process.exit(0);
} catch (error) {
  // What people can mend is told without a stack.
  if (error instanceof PerennialError) logger.fatal({ code: error.code }, error.message);
  else logger.fatal({ error }, error instanceof Error ? error.message : String(error));
  process.exit(1);
}
