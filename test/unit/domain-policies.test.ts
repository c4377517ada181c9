import { describe, expect, it } from 'vitest';
import { selectCandidate } from '../../domain/selection.ts';
import { trained } from '../support/samples.ts';

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
