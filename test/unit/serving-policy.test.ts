import { describe, expect, it } from 'vitest';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { emptyEndpoint, policyOf, tableFor, withTable } from '../../domain/endpoint.ts';
import { servedModel } from '../support/samples.ts';

const spec = (serving: object, ignored: string[] = []) =>
  pipelineSpec.safeParse({
    name: 'churn',
    task: 'binary',
    data: { sources: { rows: 'rows.csv' } },
    columns: { target: 'left', ignored },
    deployment: { serving },
  });

describe('deployment.serving', () => {
  it('has defaults', () => {
    expect(spec({}).data?.deployment.serving).toEqual({
      sticky: false,
      deadline: '10s',
      log: { sample: 1, features: true },
    });
  });

  it.each<[object, string]>([
    [{ entityColumn: 'left' }, 'left is the target'],
    [{ entityColumn: 'id' }, 'id stands in columns.ignored'],
    [{ deadline: '11m' }, 'up to 10m'],
    [{ log: { sample: 2 } }, '1'],
  ])('refuses %j', (serving, words) => {
    const { error } = spec(serving, ['id']);
    expect(error?.issues[0]?.message).toContain(words);
  });
});

describe('the policy of an endpoint', () => {
  const policy = { ...policyOf(emptyEndpoint('e').table), sticky: true, entityColumn: 'customer' };

  it('comes with a deployment and stays with the next one that brings none', () => {
    const first = withTable(emptyEndpoint('e'), tableFor(emptyEndpoint('e'), servedModel('1'), policy), {});
    expect(first.table).toMatchObject({ sticky: true, entityColumn: 'customer', generation: 1 });
    expect(tableFor(first, servedModel('2'))).toMatchObject({
      sticky: true,
      entityColumn: 'customer',
      generation: 2,
    });
  });

  it('goes when the next deployment brings another', () => {
    const first = withTable(emptyEndpoint('e'), tableFor(emptyEndpoint('e'), servedModel('1'), policy), {});
    const { sticky, entityColumn } = tableFor(first, null, policyOf(emptyEndpoint('e').table));
    expect({ sticky, entityColumn }).toEqual({ sticky: false, entityColumn: undefined });
  });
});
