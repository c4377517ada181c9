import { resolve } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, describe, expect, it } from 'vitest';
import type { Context } from '../../client/context.ts';
import { follow, leftBehind, waysToApprove, whoDecides } from '../../client/follow.ts';
import type { Output } from '../../client/output.ts';
import { PerennialClient } from '../../client/perennial-client.ts';
import type { LifecycleResult, RunStatus } from '../../contracts/lifecycle.ts';
import { STAGES } from '../../contracts/stages.ts';
import { MlflowClient } from '../../packages/mlflow-client-ts/src/index.ts';

const connection = Connection.lazy();
afterAll(() => connection.close());

const WAITING: RunStatus = {
  workflowId: 'bank-1',
  runId: 'r',
  pipeline: 'bank',
  state: 'awaiting_approval',
  stage: 'approval',
  stages: STAGES.map((name) => ({ name, state: 'pending' })),
  links: {},
  awaiting: {
    candidate: 'abcdef0123456789',
    since: '2026-01-01T00:00:00Z',
    deadline: '2026-01-08T00:00:00Z',
    quorum: 1,
    votes: [],
    remindersSent: 0,
    approvers: null,
    roles: [],
    signed: false,
    run: 'bank-1/r',
    escalated: false,
    undecided: [],
  },
  refused: [],
  outcome: null,
  error: null,
};
const RESULT: LifecycleResult = {
  outcome: 'rejected',
  pipeline: 'bank',
  message: 'rejected',
  modelName: null,
  version: null,
  candidate: null,
  waitedMs: 0,
  outputs: {},
};
const usual = {
  temporalAddress: 'localhost:7233',
  namespace: 'default',
  dataDir: resolve('.perennial'),
};

/** A client whose status queries give `statuses` in turn, then fail; the run ends with the last of them. */
class Scripted extends PerennialClient {
  #settle: (result: LifecycleResult) => void = () => undefined;
  readonly #statuses: (RunStatus | Error)[];
  constructor(statuses: (RunStatus | Error)[]) {
    super(new Client({ connection }));
    this.#statuses = statuses;
  }
  override async outputs(): Promise<unknown> {
    return {};
  }
  override result(): Promise<LifecycleResult> {
    return new Promise((settle) => {
      this.#settle = settle;
    });
  }
  override async status(): Promise<RunStatus> {
    const next = this.#statuses.shift() ?? new Error('no worker answers the query');
    if (this.#statuses.length === 0) this.#settle(RESULT);
    if (next instanceof Error) throw next;
    return next;
  }
}

function contextOf(perennial: PerennialClient): Context {
  return {
    ...usual,
    temporalUi: undefined,
    mlflowUri: undefined,
    perennial,
    mlflow: () => new MlflowClient({ trackingUri: 'http://127.0.0.1:1' }),
    close: () => Promise.resolve(),
  };
}

function jsonOutput(): Output & { noticed: string[] } {
  const noticed: string[] = [];
  return {
    json: true,
    interactive: false,
    noticed,
    line: () => undefined,
    notice: (text = '') => noticed.push(text),
    result: () => undefined,
  };
}

describe('follow', () => {
  it('goes on while the status cannot be asked, and gives the result without a last status', async () => {
    const failing = new Scripted([new Error('unavailable'), new Error('unavailable')]);
    expect(await follow(contextOf(failing), 'bank-1', jsonOutput())).toEqual(RESULT);
  });

  it('says how to approve also with --json', async () => {
    const output = jsonOutput();
    await follow(contextOf(new Scripted([WAITING, WAITING])), 'bank-1', output);
    expect(output.noticed.join('\n')).toContain('perennial approve bank-1');
  });
});

describe('ways to approve', () => {
  it('leave plain ids alone and quote the others for the shell', () => {
    expect(waysToApprove({ ...WAITING, workflowId: 'a:b/c-1_2.d' }, usual)[0]).toContain(
      'approve a:b/c-1_2.d --as',
    );
    const odd = waysToApprove({ ...WAITING, workflowId: "it's $(here)" }, usual);
    for (const way of odd) expect(way).toContain("'it'\\''s $(here)'");
  });

  it('are a signed vote where only those count, and say whose', () => {
    if (!WAITING.awaiting) throw new Error('the run waits');
    const awaiting = {
      ...WAITING.awaiting,
      signed: true,
      approvers: ['ada', 'grace'],
      roles: [{ role: 'risk', quorum: 2, approvals: 0 }],
    };
    const ways = waysToApprove({ ...WAITING, awaiting }, usual);
    expect(ways[0]).toContain('--key');
    expect(ways.join()).not.toContain('signal');
    expect(whoDecides(awaiting)).toEqual(['Needed: 1 of ada, grace; 2 in role risk; signed votes only']);
    expect(whoDecides(WAITING.awaiting)).toEqual([]);
  });

  it('name the data directory when somebody leaves', () => {
    expect(leftBehind('a b', { ...usual, dataDir: '/data/x' }).join('\n')).toContain(
      "perennial --data-dir /data/x approve 'a b' --as",
    );
  });
});
