import { PerennialError } from '../../contracts/errors.ts';
import type { Route, RouteTable } from '../../contracts/serving.ts';
import { CallRows } from '../call-rows.ts';
import type { ModelHost } from '../model-host.ts';
import type { Incident, Miss, Prediction, PredictionListener } from '../prediction.ts';
import { RequestError } from '../request-error.ts';
import { samplePoint } from '../sampling.ts';
import { ChallengerFailure } from './challenger-failure.ts';
import { type Failing, invalidOutput, isUnfed } from './failing.ts';
import { invalidRows } from './invalid-rows.ts';

/** Copies that wait for the answers before them to be sent. */
const MAX_WAITING = 256;

/** Who is told of the copies. */
export interface ShadowAudience {
  shadowed(prediction: Prediction, seconds: number): void;
  /** @param miss where there was no answer at all */
  failed(incident: Incident, miss?: Miss): void;
}

/**
 * Sends copies of answered requests to the shadows of their endpoint, after the answer has been sent. What there is no
 * room for is dropped, and told as overload. Which requests are copied is decided as it is of their records, so that a
 * sampled log has both sides of a comparison.
 */
export class ShadowCopies implements PredictionListener {
  #waiting = 0;

  constructor(
    private readonly host: ModelHost,
    private readonly audience: ShadowAudience,
  ) {}

  answered(prediction: Prediction): void {
    const { call, reason } = prediction;
    const state = this.host.state(call.endpoint);
    // Who asks for a version asks no other.
    if (!state || state.shadows.length === 0 || reason === 'version') return;
    const point = samplePoint(call.arrived) * 100;
    for (const shadow of state.shadows) {
      if (point >= shadow.weight) continue;
      if (this.#waiting >= MAX_WAITING) {
        const dropped = { kind: 'overload', reason: 'too many copies wait' } as const;
        this.#failed(state.table, shadow, dropped, { rows: prediction.outputs.rows, seconds: undefined });
        continue;
      }
      this.#waiting += 1;
      setImmediate(() => {
        this.#waiting -= 1;
        void this.#copy(prediction, shadow.model.version);
      });
    }
  }

  async #copy(answered: Prediction, version: string): Promise<void> {
    const { call } = answered;
    // Of the table of this moment, and before anything is awaited: from then on the model waits for the run.
    const state = this.host.state(call.endpoint);
    const shadow = state?.shadows.find(({ model }) => model.version === version);
    const model = state?.version(version);
    if (!(state && shadow && model)) return;
    const { table } = state;
    const { generation, deadlineMs } = table;
    const started = performance.now();
    const seconds = (): number => (performance.now() - started) / 1000;
    try {
      // Rows that the version reads alike, and views that it has too, are not asked for again.
      const { rows = new CallRows(call) } = answered;
      const found = rows.whole(model, started + deadlineMs);
      const outputs = await model.runWhole(found, started + deadlineMs);
      const invalid = invalidRows(outputs);
      const { entity } = answered;
      this.audience.shadowed(
        {
          call,
          model,
          role: 'shadow',
          reason: 'shadow',
          generation,
          entity,
          ...(found instanceof Promise ? await found : found),
          outputs,
          invalidRows: invalid,
        },
        seconds(),
      );
      if (invalid > 0) this.#failed(table, shadow, invalidOutput(invalid, outputs.rows));
    } catch (error) {
      const copied = { rows: answered.outputs.rows, seconds: seconds() };
      this.#failed(table, shadow, failing(error), copied);
    }
  }

  /** @param copied of a copy without an answer */
  #failed(
    { endpoint, generation }: RouteTable,
    { model: { version } }: Route,
    { kind, reason }: Failing,
    copied?: Pick<Miss, 'rows' | 'seconds'>,
  ): void {
    if (!kind) return;
    const told = { endpoint, generation, version, role: 'shadow' as const, kind };
    const incident = { ...told, count: 1, reason };
    this.audience.failed(incident, copied && { ...told, reason: 'shadow', ...copied });
  }
}

function failing(error: unknown): Failing {
  if (error instanceof ChallengerFailure) return error;
  if (error instanceof RequestError && error.status !== 503)
    return {
      kind: 'refused-input',
      reason: 'it refuses rows that the champion takes; compare their signatures',
    };
  const kind = isUnfed(error) ? 'features' : 'error';
  return { kind, reason: error instanceof PerennialError ? error.message : 'the copy failed' };
}
