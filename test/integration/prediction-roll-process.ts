/** A process that rolls the segments of a data directory, for tests that kill it. */
import { rollSegments } from '../../lib/predictions/roll.ts';

const [, , dataDir = ''] = process.argv;
process.stdout.write('ready\n');
await rollSegments({ dataDir });
