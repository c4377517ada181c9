import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { proposals } from '../../contracts/trials.ts';
import { python } from './trainers-support.ts';

const SCRIPT = fileURLToPath(new URL('../../trainers/python/tpe_proposals.py', import.meta.url));

const ask = (space: object, history: object[], seed = 1) => {
  const question = { space, direction: 'maximize', history, count: 4, seed };
  return proposals.parse(
    JSON.parse(execFileSync(python, [SCRIPT], { input: JSON.stringify(question) }).toString()),
  ).proposals;
};

it('a default beyond the last step is taken for the last step', () => {
  const history = [{ parameters: { num_leaves: 31 }, state: 'trained', value: 0.8 }];
  for (const { num_leaves } of ask({ num_leaves: { int: [8, 30], step: 8 } }, history))
    expect([8, 16, 24]).toContain(num_leaves);
});

it('proposals gather where trials were good, and are the same for the same question', () => {
  const history = Array.from({ length: 30 }, (_, at) => {
    const x = (at + 0.5) / 30;
    return { parameters: { x }, state: 'trained', value: -Math.abs(x - 0.2) };
  });
  const space = { x: { float: [0, 1] } };
  const found = Array.from({ length: 5 }, (_, seed) => ask(space, history, seed)).flat();
  const near = found.filter(({ x }) => Math.abs(Number(x) - 0.2) < 0.2);
  expect(near.length).toBeGreaterThan(0.8 * found.length);
  expect(ask(space, history, 7)).toEqual(ask(space, history, 7));
});

it('a conditional parameter is proposed where its condition holds', () => {
  const space = {
    penalty: { choice: ['l1', 'elasticnet'] },
    l1_ratio: { float: [0, 1], when: { penalty: 'elasticnet' } },
  };
  for (const one of [1, 2, 3].flatMap((seed) => ask(space, [], seed)))
    expect('l1_ratio' in one).toBe(one.penalty === 'elasticnet');
});
