import { Platform } from '../../client/platform/platform.ts';

// The supervisor as a process of its own, which a test may kill: tsx platform-supervisor.ts DATA_DIR
const platform = await Platform.start({ dataDir: process.argv[2] ?? '', parts: ['temporal', 'mlflow'] });
platform.stopOnSignals();
console.log(JSON.stringify(platform.status()));
await platform.closed;
