/** A process that puts one record of a view into an online store: `feature-store-putter.ts <folder> <view> <field, hex>`. */
import { LmdbBackend } from '../../lib/feature-store/lmdb-backend.ts';

const [folder = '', view = '', field = ''] = process.argv.slice(2);
const backend = await LmdbBackend.open(folder);
const writer = await backend.write(view);
await writer.put(1, [{ field: Buffer.from(field, 'hex'), bytes: Buffer.alloc(200) }]);
await backend.close();
