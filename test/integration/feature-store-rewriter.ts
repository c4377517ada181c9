/** A process that writes the file of an online store anew, over and over, until it is killed. */
import { LmdbBackend } from '../../lib/feature-store/lmdb-backend.ts';

const backend = await LmdbBackend.open(process.argv[2] ?? '');
process.stdout.write('writing\n');
for (;;) await backend.writeAnew();
