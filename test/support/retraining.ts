import type { WorkflowHandle } from '@temporalio/client';
import { runEndOf } from '../../activities/run-end.ts';
import { executeUpdate } from '../../client/execute-update.ts';
import { QUERIES, retrainingWorkflowId, SIGNALS, UPDATES, WORKFLOW_TYPES } from '../../contracts/names.ts';
import {
  type RetrainingAnswer,
  type RetrainingDecision,
  type RetrainingInput,
  type RetrainingSettings,
  type RetrainingStatus,
  retrainingSettings,
  type Trigger,
} from '../../contracts/retraining.ts';
import type { PipelineSpecInput } from '../../contracts/spec/pipeline.ts';
import { artifact, smallSpec } from './samples.ts';
import type { Scenario } from './scenario.ts';
import { eventually, type WorkflowBench } from './workflow-bench.ts';

/** The retraining of a scenario, whose pipeline has the scenario's id. */
export class RetrainingUnderTest {
  readonly handle: WorkflowHandle;

  constructor(
    private readonly bench: WorkflowBench,
    private readonly scenario: Scenario,
  ) {
    this.handle = bench.client.workflow.getHandle(retrainingWorkflowId(scenario.id));
    if (scenario.servers.length === 0) scenario.addServer('a', bench.taskQueue);
    this.trains();
    scenario.let('findRunEnd', ({ workflowId }) => runEndOf(bench.client, workflowId));
  }

  /** What runs are made by: a spec whose rows have a time, which a run as of a moment needs. */
  trains(more: Partial<PipelineSpecInput> = {}): void {
    const columns = { ...smallSpec().columns, timestamp: 'called_at' };
    const spec = smallSpec({ approval: { required: false }, columns, ...more });
    this.scenario.let('loadSpec', async () => ({ spec: { ...spec } }));
  }

  settings(
    retraining: object = {},
    more: Partial<Omit<RetrainingSettings, 'retraining'>> = {},
  ): RetrainingSettings {
    return retrainingSettings.parse({
      pipeline: this.scenario.id,
      specRef: artifact('spec', 'application/json'),
      retraining: { debounce: '1ms', cooldown: '1ms', maxPerDay: 100, ...retraining },
      ...more,
    });
  }

  /** Starts the workflow; what the rules hold back is told by each test. */
  async start(
    retraining: object = {},
    {
      input = {},
      ...more
    }: Partial<Omit<RetrainingSettings, 'retraining'>> & {
      input?: Partial<RetrainingInput>;
    } = {},
  ): Promise<this> {
    await this.bench.client.workflow.start(WORKFLOW_TYPES.retraining, {
      workflowId: this.handle.workflowId,
      taskQueue: this.bench.taskQueue,
      args: [{ settings: this.settings(retraining, more), ...input }],
    });
    return this;
  }

  trigger(trigger: Trigger): Promise<RetrainingDecision> {
    return executeUpdate(this.handle, UPDATES.trigger, { args: [trigger] });
  }

  async signal(trigger: unknown): Promise<void> {
    await this.handle.signal(SIGNALS.trigger, trigger);
  }

  async tick(asOf: string, version: string | null = null, since = asOf): Promise<void> {
    await this.handle.signal(SIGNALS.tick, { asOf, champion: version === null ? null : { version, since } });
  }

  configure(settings: RetrainingSettings): Promise<RetrainingStatus> {
    return executeUpdate(this.handle, UPDATES.configure, { args: [settings] });
  }

  answer(answer: RetrainingAnswer): Promise<RetrainingStatus> {
    return executeUpdate(this.handle, UPDATES.answer, { args: [answer] });
  }

  status(): Promise<RetrainingStatus> {
    return this.handle.query<RetrainingStatus>(QUERIES.retraining);
  }

  retire(reason: string): Promise<RetrainingStatus> {
    return executeUpdate(this.handle, UPDATES.retire, { args: [{ reason }] });
  }

  /** Waits until the status is as a test wants it. */
  until(look: (status: RetrainingStatus) => boolean, what: string): Promise<RetrainingStatus> {
    return eventually(async () => {
      const status = await this.status();
      return look(status) ? status : undefined;
    }, what);
  }

  /** Waits until so many runs have ended. */
  ended(runs: number): Promise<RetrainingStatus> {
    return this.until(
      ({ state }) => state.runs.filter(({ endedAt }) => endedAt !== null).length >= runs,
      `${runs} ended run(s)`,
    );
  }

  /** The lifecycle runs that were started, as the fake activities saw them. */
  get started(): number {
    return this.scenario.count('openTracking');
  }
}
