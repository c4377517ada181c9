import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { runStatus } from '../../contracts/lifecycle.ts';
import { SIGNALS, UPDATES, WORKFLOW_TYPES } from '../../contracts/names.ts';
import { failure } from '../support/failures.ts';
import { servedModel } from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { type CliAnswer, temporalCli } from '../support/temporal-cli.ts';
import { WorkflowBench } from '../support/workflow-bench.ts';

const DEPTH = 2_000;

/** Sent with an encoding that no converter knows: the SDK itself would try the workflow task again for ever. */
const UNKNOWN_ENCODING = 'in an unknown encoding';

/** What people, scripts and accidents send. `undefined` is no input at all. */
const JUNK: Record<string, string | undefined> = {
  'no input': undefined,
  null: 'null',
  'a number': '42',
  'a text': '"text"',
  'a list': '[]',
  'a list of lists': '[[{}]]',
  'an empty object': '{}',
  'deep nesting': `${'{"spec":'.repeat(DEPTH)}null${'}'.repeat(DEPTH)}`,
  'a text of 100 kB': `"${'x'.repeat(100_000)}"`,
  'a key of 100 kB': `{"${'k'.repeat(100_000)}":1}`,
  'wrong types':
    '{"spec":7,"by":{},"reason":[],"candidate":1,"decision":true,"requestId":null,"endpoint":-1,"serverId":0,"model":"x"}',
  'unknown keys': '{"sepc":{},"aproved_by":"ada","__proto__":{"by":"ada"},"constructor":1}',
  unicode: '{"by":"\\u202e\\ud800 𓀀 ‮","reason":"\\u0000","spec":{"name":"Ünïcödé 🦆"}}',
  [UNKNOWN_ENCODING]: UNKNOWN_ENCODING,
  'dates out of range': '{"spec":{"name":"x","approval":{"timeout":"99999999999999999999999999w"}}}',
};

const { address, cli } = inject('temporal');
let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

const given = (junk: string | undefined): string[] =>
  junk === undefined
    ? []
    : junk === UNKNOWN_ENCODING
      ? ['--input', '{}', '--input-meta', 'encoding=made/up']
      : ['--input', junk];

const signal = (workflowId: string, name: string, junk: string | undefined): Promise<CliAnswer> =>
  temporalCli(cli, address, [
    'workflow',
    'signal',
    '--workflow-id',
    workflowId,
    '--name',
    name,
    ...given(junk),
  ]);

const update = (workflowId: string, name: string, junk: string | undefined): Promise<CliAnswer> =>
  temporalCli(cli, address, [
    'workflow',
    'update',
    'execute',
    '--workflow-id',
    workflowId,
    '--name',
    name,
    ...given(junk),
  ]);

/** The one kind of workflow that needs no argument. */
const needsNone = (type: string, junk: string): boolean =>
  type === WORKFLOW_TYPES.housekeeping && ['no input', 'null', 'an empty object'].includes(junk);

describe.each(Object.values(WORKFLOW_TYPES))('the start of workflow %s with', (type) => {
  for (const [name, junk] of Object.entries(JUNK).filter(([name]) => !needsNone(type, name)))
    it.concurrent(`${name} fails with a clear message`, async () => {
      const { id } = new Scenario();
      const started = await temporalCli(cli, address, [
        ...['workflow', 'start', '--type', type, '--workflow-id', `${type}/${id}`],
        ...['--task-queue', bench.taskQueue, ...given(junk)],
      ]);
      expect(started).toMatchObject({ code: 0 });
      const { type: code, message } = await failure(
        bench.client.workflow.getHandle(`${type}/${id}`).result(),
      );
      expect(['InputInvalid', 'SpecInvalid']).toContain(code);
      expect(message).toMatch(/^(the argument of workflow \w+|the pipeline spec): ./);
      expect(message.length).toBeLessThan(3_000);
    });
});

describe('a run that gets junk while it waits for an approval', () => {
  it('writes it down, answers its queries, takes the right vote and completes', async () => {
    const run = await bench.lifecycle(new Scenario());
    const { candidate } = await run.awaiting();
    const { workflowId } = run.handle;
    for (const [name, junk] of Object.entries(JUNK)) {
      const [approve, reject, unknown, review] = await Promise.all([
        signal(workflowId, SIGNALS.approve, junk),
        signal(workflowId, SIGNALS.reject, junk),
        signal(workflowId, 'aprove', junk),
        update(workflowId, UPDATES.review, junk),
      ]);
      expect([name, approve.code, reject.code, unknown.code]).toEqual([name, 0, 0, 0]);
      expect(review.code, name).not.toBe(0);
      expect(review.text, name).toContain('update review: ');
    }
    const status = runStatus.parse(await run.status());
    expect(status.refused).toHaveLength(20);
    expect(status.awaiting?.votes).toEqual([]);
    const good = JSON.stringify({ decision: 'approve', by: 'ada', candidate });
    expect(await update(workflowId, UPDATES.review, good)).toMatchObject({ code: 0 });
    expect((await run.handle.result()).outcome).toBe('deployed');
  });
});

describe('an endpoint that gets junk', () => {
  it('refuses it, answers its query and goes on', async () => {
    const scenario = new Scenario();
    scenario.addServer('a', bench.taskQueue);
    const endpoint = await bench.endpoint(scenario);
    const { workflowId } = endpoint.handle;
    for (const [name, junk] of Object.entries(JUNK)) {
      const [joined, failed, admit, shift, rollback] = await Promise.all([
        signal(workflowId, SIGNALS.serverJoined, junk),
        signal(workflowId, SIGNALS.challengerFailed, junk),
        update(workflowId, UPDATES.admit, junk),
        update(workflowId, UPDATES.shift, junk),
        update(workflowId, UPDATES.rollback, junk),
      ]);
      expect([name, joined.code, failed.code]).toEqual([name, 0, 0]);
      expect(admit.text, name).toContain('update admit: ');
      expect(shift.text, name).toContain('update shift: ');
      expect(rollback.text, name).toContain('update rollback: ');
    }
    expect(await endpoint.state()).toMatchObject({ table: { generation: 0 }, incidents: [] });
    expect(await endpoint.deploy(servedModel('1'))).toMatchObject({ version: '1', generation: 1 });
  });
});
