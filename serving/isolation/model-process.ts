/** One model in a process of its own; {@link ModelLink} starts it and talks to it. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { PerennialError } from '../../contracts/errors.ts';
import type { ModelSignature } from '../../contracts/serving.ts';
import { watchParent } from '../../lib/processes/orphan.ts';
import { localRunner } from '../local-runner.ts';
import type { ModelRunner } from '../model-runner.ts';
import type { FailedWords, LoadMessage, ProcessMessage, RunMessage } from './model-messages.ts';
import { packedOutputs, unpacked } from './packed-columns.ts';

const say = (message: ProcessMessage): void => {
  // The parent may be gone by now; then nobody listens.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
};

process.once('disconnect', () => process.exit());
watchParent();
dieFirst();
process.once('message', (first) => void serve(first as LoadMessage));

async function serve(load: LoadMessage): Promise<void> {
  let runner: ModelRunner;
  try {
    runner = await loaded(load);
  } catch (error) {
    say({ failed: wordsOf(error) });
    return;
  }
  process.on('message', (message) => void answer(runner, load.signature, message as RunMessage));
  say({});
}

/** The digest is taken of the very bytes that become the model. */
async function loaded({
  bytes,
  sha256,
  version,
  signature,
  threads,
  batching,
}: LoadMessage): Promise<ModelRunner> {
  if (createHash('sha256').update(bytes).digest('hex') !== sha256)
    throw new PerennialError(
      'ArtifactCorrupt',
      `version ${version}: the model's bytes do not have the route's digest; restore the artifact`,
    );
  return localRunner(bytes, signature, { threads, batching });
}

async function answer(runner: ModelRunner, signature: ModelSignature, message: RunMessage): Promise<void> {
  const { id } = message;
  try {
    say({ id, outputs: packedOutputs(await runner.run(unpacked(message, signature))) });
  } catch (error) {
    say({ id, failed: wordsOf(error) });
  }
}

/** Only words that were written for people: those of the engine may quote the rows. */
function wordsOf(error: unknown): FailedWords {
  if (error instanceof PerennialError) return { ...pick(error) };
  return {
    code: 'ModelInvalid',
    message: 'the model failed for a reason that has no words',
    retryable: false,
  };
}

const pick = ({ code, message, retryable }: PerennialError): FailedWords => ({ code, message, retryable });

/** Where memory runs out, Linux ends this process and not the one that serves. */
function dieFirst(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000');
  } catch {
    // Another system, or one that does not allow it.
  }
}
