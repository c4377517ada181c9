/** A process that merges the days of a prediction log, for tests that kill it: `<data dir> <as of> <step> <how often>`. */
import { compactPredictions } from '../../lib/predictions/compaction.ts';

const [, , dataDir = '', asOf = '', deadly = '', times = '1'] = process.argv;
let left = Number(times);
await compactPredictions(
  { dataDir },
  {
    asOf: Number(asOf),
    onStep: (step) => {
      if (step === deadly && --left === 0) process.kill(process.pid, 'SIGKILL');
    },
  },
);
