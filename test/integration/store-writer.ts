import { openStore } from '../../lib/store/open-store.ts';

/** A process that stores a file and kills itself while it is at it, as a crash would. */
const [settings = '{}', path = '', encrypt = '', delayMs = '0'] = process.argv.slice(2);
const store = await openStore(JSON.parse(settings));
setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(delayMs));
await store.putFile(path, 'application/octet-stream', { encrypt: encrypt === 'encrypt' });
// Stored before its time: it is killed all the same.
setInterval(() => undefined, 1_000);
