import { ApplicationFailure, condition, log } from '@temporalio/workflow';
import type { EndpointAnswer } from '../../contracts/endpoint.ts';
import type { RolloutOutcome, RolloutResult } from '../../contracts/rollout.ts';
import { notify, retireCandidate, tagVersion } from '../activities.ts';
import { words } from '../failure-words.ts';
import { watch } from '../monitoring/watch-stage.ts';
import type { RolloutRequests } from './requests.ts';
import type { RolloutRun } from './run.ts';

/** How a roll-out is to end, and by whom. `named`: a person said so. */
export type Ending =
  | { kind: 'promote' | 'rollback'; by: string; reason: string; named?: boolean }
  | { kind: 'over'; outcome: 'superseded' | 'rolled_back' | 'withdrawn'; by: string; reason: string };

const MAX_REASON = 3_500;
/** How long the endpoint's word is waited for, where it refuses what is over already. */
const WORD = '30s';

/** Brings a roll-out to its end: in the endpoint, in the registry, and on record. */
export class RolloutEnd {
  constructor(
    private readonly run: RolloutRun,
    private readonly requests: RolloutRequests,
  ) {}

  async ended(ending: Ending): Promise<RolloutResult> {
    const { by, kind } = ending;
    const reason = ending.reason.slice(0, MAX_REASON);
    if (kind === 'over') return this.#over(ending.outcome, by, reason);
    if (kind === 'promote') return this.#promoted(ending, reason);
    const named = ending.named === true;
    // A candidate that endangers nobody any more first, all else after.
    const answer = await this.requests.withdraw('rolled_back', { by, reason, named });
    return this.#close('rolled_back', reason || `rolled back by ${by}`, answer, { by, named });
  }

  /** Nothing that is half done stays behind a failure. */
  async failed(why: string): Promise<void> {
    const { run } = this;
    try {
      const reason = why.slice(0, MAX_REASON);
      await this.requests.withdraw('withdrawn', { by: run.input.requestedBy, reason, named: false });
      await this.#tag('withdrawn', why);
    } catch (error) {
      log.error(`the candidate could not be withdrawn: ${words(error)}`);
    }
    run.failed = why;
    run.state.phase = 'ended';
    run.state.reason = why;
    run.note('rollout.ended', `failed: ${why}`);
    run.show();
  }

  /** How the endpoint ended it, where that is why a request was refused. */
  async overtaken(error: unknown): Promise<Ending | undefined> {
    if (!(error instanceof ApplicationFailure) || error.type !== 'RolloutOver') return undefined;
    await condition(() => this.run.over !== undefined, WORD);
    return this.run.over && { ...this.run.over, kind: 'over' };
  }

  async #promoted(
    { by, named }: Extract<Ending, { kind: 'promote' | 'rollback' }>,
    reason: string,
  ): Promise<RolloutResult> {
    const { run } = this;
    run.promoting = true;
    run.show();
    try {
      const answer = await this.requests.promote({ by, reason, named: named === true });
      return await this.#close('promoted', reason, answer, { by, named: named === true });
    } catch (error) {
      run.promoting = false;
      // Rolled back by a person between traffic and alias.
      const over = await this.overtaken(error);
      if (over) return this.ended(over);
      throw error;
    }
  }

  async #over(outcome: RolloutOutcome, by: string, reason: string): Promise<RolloutResult> {
    return this.#close(outcome, reason, null, { by, named: outcome === 'rolled_back' });
  }

  async #close(
    outcome: RolloutOutcome,
    reason: string,
    answer: EndpointAnswer | null,
    actor: { by: string; named: boolean },
  ): Promise<RolloutResult> {
    const { run } = this;
    const { endpoint, model, watch: watched } = run.input;
    run.state.phase = 'ended';
    run.state.outcome = outcome;
    run.state.reason = reason;
    run.note('rollout.ended', `${outcome}: ${reason}`, actor);
    run.show();
    if (outcome === 'promoted' || outcome === 'rolled_back') await this.#tell(outcome, reason);
    // What serves, serves: a tag that cannot be had does not make it another end.
    await this.#tag(outcome, reason).catch((error: unknown) =>
      log.error(`version ${model.version} could not be tagged: ${words(error)}`),
    );
    const warnings = outcome === 'promoted' && watched ? await watch(watched.spec, watched.code) : [];
    return {
      ...(warnings.length > 0 ? { warnings } : {}),
      outcome,
      endpoint,
      version: model.version,
      reason,
      generation: answer?.generation ?? null,
      previousVersion: answer?.previousVersion ?? null,
      servers: answer?.servers ?? [],
      verdicts: run.state.verdicts,
    };
  }

  async #tell(outcome: 'promoted' | 'rolled_back', reason: string): Promise<void> {
    const { endpoint, model } = this.run.input;
    const text = `version ${model.version} of ${endpoint} was ${outcome.replace('_', ' ')}: ${reason}`;
    await notify({
      kind: outcome === 'promoted' ? 'rollout.promoted' : 'rollout.rolled-back',
      workflowId: this.run.status.workflowId,
      pipeline: null,
      endpoint,
      version: model.version,
      candidate: model.onnx.sha256,
      to: [],
      text: text.slice(0, 4_000),
      url: null,
    }).catch((error: unknown) => log.warn(`nobody was told: ${text}`, { error: words(error) }));
  }

  /** The registry says of the version what became of it. */
  async #tag(outcome: RolloutOutcome, reason: string): Promise<void> {
    const { input, state } = this.run;
    const guards = state.verdicts.map(({ message: _, needed: __, ...numbers }) => numbers);
    const { endpoint: modelName } = input;
    const { version } = input.model;
    await tagVersion({
      modelName,
      version,
      tags: { 'perennial.rollout': JSON.stringify({ outcome, reason: reason.slice(0, 1_000), guards }) },
    });
    if (outcome !== 'promoted')
      await retireCandidate({
        modelName,
        run: { workflowId: input.requestedBy, runId: '' },
        version,
        why: outcome,
      });
  }
}
