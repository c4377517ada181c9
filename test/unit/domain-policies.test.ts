import { describe, expect, it } from 'vitest';
import {
  completed,
  emptyEndpoint,
  reverted,
  tableFor,
  withPending,
  withTable,
} from '../../domain/endpoint.ts';
import { selectCandidate } from '../../domain/selection.ts';
import { servedModel, trained } from '../support/samples.ts';

describe('the choice among candidates', () => {
  const candidate = (name: string, validation: Record<string, number>) => ({
    ...trained(name, 'logistic'),
    validation,
  });

  it('takes the highest where higher is better, the lowest where lower is', () => {
    const list = [
      candidate('a', { roc_auc: 0.8, log_loss: 0.2 }),
      candidate('b', { roc_auc: 0.9, log_loss: 0.3 }),
    ];
    expect(selectCandidate(list, 'roc_auc').name).toBe('b');
    expect(selectCandidate(list, 'log_loss').name).toBe('a');
  });

  it('takes the first of equals', () => {
    expect(selectCandidate([candidate('a', { f1: 0.5 }), candidate('b', { f1: 0.5 })], 'f1').name).toBe('a');
  });

  it('leaves candidates out that have no value, or none that is a number', () => {
    const list = [candidate('a', {}), candidate('b', { f1: Number.NaN }), candidate('c', { f1: 0.1 })];
    expect(selectCandidate(list, 'f1').name).toBe('c');
    expect(() => selectCandidate(list.slice(0, 2), 'f1')).toThrow('no candidate has a value of f1');
  });
});

describe('the state of an endpoint', () => {
  const request = (version: string) => ({
    model: servedModel(version),
    requestId: `r${version}`,
    requestedBy: 'test',
  });
  const deployed = (state: ReturnType<typeof emptyEndpoint>, version: string) => {
    const told = withTable(withPending(state, request(version)), tableFor(state, servedModel(version)), {
      a: state.table.generation + 1,
    });
    const output = {
      endpoint: 'e',
      version,
      generation: told.table.generation,
      previousVersion: state.current?.version ?? null,
      servers: ['a'],
    };
    return completed(told, request(version), output, '2026-01-01T00:00:00.000Z');
  };

  it('begins with no traffic', () => {
    expect(emptyEndpoint('e')).toMatchObject({
      table: { endpoint: 'e', generation: 0, routes: [] },
      current: null,
    });
  });

  it('gives all traffic to one model, or to none, under the next generation', () => {
    const state = emptyEndpoint('e');
    expect(tableFor(state, servedModel('1'))).toMatchObject({
      generation: 1,
      routes: [{ weight: 100, model: { version: '1' } }],
    });
    expect(tableFor(state, null)).toMatchObject({ endpoint: 'e', generation: 1, routes: [] });
    expect(state.table.generation).toBe(0);
  });

  it('remembers the version before, not the same one twice', () => {
    const second = deployed(deployed(emptyEndpoint('e'), '1'), '2');
    expect(second).toMatchObject({ current: { version: '2' }, previous: { version: '1' }, pending: null });
    expect(deployed(second, '2')).toMatchObject({ current: { version: '2' }, previous: { version: '1' } });
  });

  it('stays at the version before where a change was undone', () => {
    const first = deployed(emptyEndpoint('e'), '1');
    const undone = reverted(
      withTable(withPending(first, request('2')), tableFor(first, servedModel('1')), {}),
      request('2'),
      'now',
    );
    expect(undone).toMatchObject({ current: { version: '1' }, previous: null, pending: null });
    expect(undone.changes.at(-1)).toEqual({
      at: 'now',
      generation: 2,
      from: '1',
      to: '2',
      requestedBy: 'test',
      reason: '',
      outcome: 'reverted',
    });
    expect(undone.answered).toEqual(first.answered);
  });

  it('keeps the latest 50 changes and 100 answers', () => {
    let state = emptyEndpoint('e');
    for (let i = 1; i <= 120; i++) state = deployed(state, String(i));
    expect(state.changes).toHaveLength(50);
    expect(state.answered).toHaveLength(100);
    expect(state.answered.at(-1)?.requestId).toBe('r120');
    expect(state.changes[0]?.to).toBe('71');
    expect(state.table.generation).toBe(120);
  });
});
