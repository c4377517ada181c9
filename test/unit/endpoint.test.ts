import { describe, expect, it } from 'vitest';
import type { EndpointState } from '../../contracts/endpoint.ts';
import { jsonBytes } from '../../contracts/payload-limits.ts';
import { routeTable, type ServedModel } from '../../contracts/serving.ts';
import {
  answered,
  championIn,
  emptyEndpoint,
  promoted,
  recorded,
  rolledBack,
  sharedTable,
  slotOf,
  tableFor,
  withNote,
  withoutRollout,
  withQueued,
  withSlot,
} from '../../domain/endpoint.ts';
import { tableProblem } from '../../domain/routing.ts';
import { servedModel } from '../support/samples.ts';

const promotedAll = (...versions: string[]): EndpointState =>
  versions.reduce((state, version) => promoted(state, servedModel(version)), emptyEndpoint('e'));

const versions = ({ served }: EndpointState): string[] => served.map(({ version }) => version);

const slot = (version: string) =>
  slotOf(
    {
      requestId: version,
      rollout: `rollout ${version}`,
      model: servedModel(version),
      policy: { sticky: true, deadlineMs: 500, log: { sample: 1, features: true } },
      judgedAgainst: null,
      busy: 'queue',
      requestedBy: 'test',
    },
    '2026-01-01T00:00:00.000Z',
  );

describe('the state of an endpoint', () => {
  it('begins with no traffic', () => {
    expect(emptyEndpoint('e')).toMatchObject({
      table: { endpoint: 'e', generation: 0, routes: [] },
      current: null,
      served: [],
    });
  });

  it('gives all traffic to one model, or to none, under the next generation', () => {
    const state = emptyEndpoint('e');
    expect(tableFor(state, servedModel('1'))).toMatchObject({
      generation: 1,
      routes: [{ weight: 100, role: 'champion', model: { version: '1' } }],
    });
    expect(tableFor(state, null)).toMatchObject({ endpoint: 'e', generation: 1, routes: [] });
    expect(state.table.generation).toBe(0);
  });

  it.each([
    ['challenger', 0],
    ['challenger', 5],
    ['challenger', 100],
    ['shadow', 30],
    ['shadow', 100],
  ] as const)('gives a %s %d percent, in a table that servers take', (role, share) => {
    const state = promotedAll('1');
    const table = sharedTable(state, servedModel('1'), slot('2'), { share, role });
    expect(tableProblem(table)).toBeUndefined();
    expect(championIn(table)).toBe('1');
    expect(table.routes.map(({ weight }) => weight)).toEqual([role === 'shadow' ? 100 : 100 - share, share]);
  });

  it('remembers the columns by which any version looked features up, whoever serves', () => {
    const view = (version: string, ...entity: string[]): ServedModel => ({
      ...servedModel(version),
      views: [
        {
          ...{ name: 'v', store: `e/v/${version}`, entity, values: 1, ttlMs: null, unavailable: 'default' },
          columns: [{ input: 'x', aggregate: 'count', value: 0, window: 1, default: null }],
        },
      ],
    });
    const onto = (state: EndpointState, table: EndpointState['table']): EndpointState => ({
      ...state,
      table,
    });
    const plain = onto(promotedAll('1'), tableFor(promotedAll('1'), servedModel('1')));
    expect(plain.table).not.toHaveProperty('keyColumns');
    const canary = { ...slot('2'), model: view('2', 'card', 'shop') };
    const share = { share: 5, role: 'challenger' as const };
    const during = onto(plain, sharedTable(plain, servedModel('1'), canary, share));
    expect(during.table.keyColumns).toEqual(['card', 'shop']);
    // Rolled back.
    const back = onto(during, tableFor(during, servedModel('1')));
    expect(back.table.keyColumns).toEqual(['card', 'shop']);
    // One that looks up by another column, one that looks nothing up, and nothing at all.
    const other = onto(back, tableFor(back, view('3', 'card', 'plane')));
    const after = onto(other, tableFor(other, servedModel('4')));
    expect(after.table.keyColumns).toEqual(['card', 'plane', 'shop']);
    expect(tableFor(after, null).keyColumns).toEqual(['card', 'plane', 'shop']);
    // A table that was made before there was a memory.
    const { keyColumns: _, ...old } = other.table;
    expect(tableFor(onto(other, old), servedModel('4')).keyColumns).toEqual(['card', 'plane']);
    const many = view('5', ...Array.from({ length: 60 }, (_unused, i) => `k${i}`));
    expect(routeTable.parse(tableFor(after, many)).keyColumns).toHaveLength(50);
  });

  it('treats requests as the champion has them treated, until the candidate is it', () => {
    const { policy } = slot('2');
    const state = promotedAll('1');
    const beside = sharedTable(state, servedModel('1'), slot('2'), { share: 5, role: 'challenger' });
    expect(beside).toMatchObject({ sticky: false, deadlineMs: 10_000 });
    expect(tableFor(state, servedModel('2'), policy)).toMatchObject({ sticky: true, deadlineMs: 500 });
  });

  it('remembers earlier champions, the latest first and each once', () => {
    expect(versions(promotedAll('1', '2', '3'))).toEqual(['2', '1']);
    expect(versions(promotedAll('1', '2', '2'))).toEqual(['1']);
    expect(versions(promotedAll('1', '2', '3', '1'))).toEqual(['3', '2']);
    expect(versions(promotedAll(...Array.from({ length: 40 }, (_, i) => String(i))))).toHaveLength(5);
  });

  it('goes back along them: what was rolled back is not where the next rollback goes', () => {
    const state = promotedAll('1', '2', '3', '4');
    expect(versions(rolledBack(state, servedModel('3')))).toEqual(['2', '1']);
    expect(versions(rolledBack(state, servedModel('1')))).toEqual([]);
    const forgotten = rolledBack(state, servedModel('0'));
    expect(forgotten.current?.version).toBe('0');
    expect(versions(forgotten)).toEqual(['4', '3', '2', '1']);
  });

  it('gives one roll-out its turn, the others a place', () => {
    const busy = withSlot(emptyEndpoint('e'), slot('1'));
    const queued = withQueued(withQueued(withQueued(busy, slot('2')), slot('3')), slot('2'));
    expect(queued.queue.map(({ rollout }) => rollout)).toEqual(['rollout 2', 'rollout 3']);
    const next = withSlot(withoutRollout(queued, 'rollout 1'), slot('2'));
    expect(next).toMatchObject({ slot: { rollout: 'rollout 2' }, queue: [{ rollout: 'rollout 3' }] });
    expect(withoutRollout(next, 'rollout 3').queue).toEqual([]);
  });

  it('keeps the latest 50 changes, 100 answers and 20 notes', () => {
    let state = emptyEndpoint('e');
    for (let i = 1; i <= 120; i++) {
      const at = '2026-01-01T00:00:00.000Z';
      const change = { at, kind: 'promote', generation: i, from: null, to: String(i) } as const;
      state = recorded(state, { ...change, requestedBy: 't', reason: 'x'.repeat(4_000), outcome: 'done' });
      const output = {
        endpoint: 'e',
        version: '1',
        previousVersion: null,
        generation: i,
        since: at,
        servers: [],
      };
      state = answered(state, `r${i}`, output);
      state = withNote(state, { version: String(i), tags: {} });
    }
    expect(state.changes).toHaveLength(50);
    expect(state.changes[0]?.to).toBe('71');
    expect(state.answered).toHaveLength(100);
    expect(state.answered.at(-1)?.requestId).toBe('r120');
    expect(state.notes).toHaveLength(20);
    expect(state.changes[0]?.reason).toHaveLength(500);
  });

  it('stays far below what Temporal takes, however wide its models are and however much happened', () => {
    const wide = (version: string): ServedModel => ({
      ...servedModel(version),
      signature: {
        inputs: Array.from({ length: 500 }, (_, i) => ({
          name: `a_column_with_a_rather_long_name_${i}`,
          kind: 'numeric',
          optional: true,
        })),
        outputs: [{ name: 'probability', kind: 'float' }],
      },
    });
    let state = emptyEndpoint('e');
    for (let i = 0; i < 120; i++) {
      const model = wide(String(i));
      state = promoted(state, model);
      state = withQueued(state, { ...slot(String(i)), model });
      const at = '2026-01-01T00:00:00.000Z';
      const change = { at, kind: 'promote', generation: i, from: null, to: model.version } as const;
      state = recorded(state, { ...change, requestedBy: 't', reason: 'x'.repeat(4_000), outcome: 'done' });
      state = withNote(state, { version: model.version, tags: { note: 'x'.repeat(4_500) } });
    }
    state = {
      ...withSlot(state, { ...slot('new'), model: wide('new') }),
      table: tableFor(state, wide('new')),
    };
    expect(jsonBytes(state)).toBeLessThan(700_000);
  });
});
