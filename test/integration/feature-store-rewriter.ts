/** A process that writes the file of an online store anew, over and over, until it is killed. */
import { setTimeout as delay } from 'node:timers/promises';
import { LmdbBackend } from '../../lib/feature-store/lmdb-backend.ts';

const [folder = '', pause = '0'] = process.argv.slice(2);
const backend = await LmdbBackend.open(folder);
process.stdout.write('writing\n');
for (;;) {
  await backend.writeAnew();
  await delay(Number(pause));
}
