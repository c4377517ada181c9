import { Histogram, Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { Distribution } from '../../serving/telemetry/distribution.ts';

it('gives the samples that a histogram of prom-client gives', async () => {
  const bounds = [0.001, 0.01, 0.1, 1];
  const registers = [new Registry()];
  const theirs = new Histogram({
    name: 'seconds',
    help: 'h',
    labelNames: ['endpoint'],
    buckets: bounds,
    registers,
  });
  const ours = new Distribution(bounds);
  // On a bound, beyond the last, nothing at all, and in between.
  for (const value of [0.001, 0.01, 5, 0, 0.0005, 0.02, 0.5, 0.5, 1, 1.0000001]) {
    theirs.observe({ endpoint: 'churn' }, value);
    ours.observe(value);
  }
  const { values } = await theirs.get();
  const plain = values.map((sample) => ({
    labels: Object.fromEntries(Object.entries(sample.labels).map(([name, value]) => [name, String(value)])),
    value: sample.value,
    metricName: 'metricName' in sample ? sample.metricName : undefined,
  }));
  const samples = ours.samples('seconds', { endpoint: 'churn' });
  expect(samples).toHaveLength(plain.length);
  expect(samples).toEqual(expect.arrayContaining(plain));
});
