/** A process that answers and records until it is killed: `prediction-log-process.ts <data dir> <instance>`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '../../lib/store/open-store.ts';
import { PredictionLogFixture } from '../support/prediction-log-fixture.ts';
import { ServingWithLog } from '../support/serving-with-log.ts';

const [, , dataDir = '', instance = ''] = process.argv;
const config = { dataDir };
const fixture = PredictionLogFixture.over(config, await openStore(config));
const serving = await ServingWithLog.create(fixture, { writeMs: 5, rotateBytes: 60_000 });
for (let n = 0; ; ) {
  for (let i = 0; i < 50; i++) await serving.ask(`${instance}-${n++}`, 3);
  // Now and then all of it is written, and from then on it must survive.
  while (n % 500 === 0 && serving.log.stats().bufferedBytes > 0) await sleep(1);
  if (n % 500 === 0) process.stdout.write(`${n}\n`);
  await sleep(0);
}
