// Usage: node temporal-download.mjs FOLDER VERSION. Has the Temporal SDK download its CLI into FOLDER, and prints the
// path of the file. The SDK offers this only together with starting a dev server, which is stopped at once.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { makeTelemetryFilterString, Runtime } from '@temporalio/worker';

const [folder, version] = process.argv.slice(2);

Runtime.install({
  shutdownSignals: [],
  telemetryOptions: {
    logging: { filter: makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' }), console: {} },
  },
});
try {
  const runtime = Runtime.instance();
  const server = await runtime.createEphemeralServer({
    type: 'dev-server',
    exe: {
      type: 'cached-download',
      downloadDir: folder,
      version,
      ttl: 0,
      sdkName: 'sdk-typescript',
      sdkVersion: '1',
    },
    namespace: 'default',
    ip: '127.0.0.1',
    port: null,
    uiPort: null,
    dbFilename: null,
    ui: false,
    log: { format: 'pretty', level: 'error' },
    extraArgs: [],
  });
  await runtime.shutdownEphemeralServer(server);
  const file = readdirSync(folder).find((name) => name.startsWith('temporal'));
  if (file) console.log(join(folder, file));
  process.exit(file ? 0 : 1);
} catch {
  process.exit(1);
}
