import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { ArtifactStore } from '../lib/store/artifact-store.ts';
import { ModelHost } from '../serving/model-host.ts';
import { machine, table } from './figures.ts';
import { servingModel } from './serving-model.ts';

/*
 * Resident memory over ten thousand reloads of a model of a hundred trees: each puts a table with a new version into
 * force, which is loaded, warmed up and asked once before the old one goes.
 *
 *   npx tsx bench/serving-reload.ts [--reloads 10000]
 */

const POINTS = 20;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { reloads: { type: 'string', default: '10000' } } });
  const reloads = Number(values.reloads);
  const { served, composed } = await servingModel(join(import.meta.dirname, 'peers', '.peers'));
  const folder = mkdtempSync(join(tmpdir(), 'perennial-bench-reload-'));
  try {
    const store = await ArtifactStore.create(join(folder, 'store'));
    await store.putBytes(readFileSync(composed), 'application/onnx');
    const logger = pino({ level: 'silent' });
    const host = await ModelHost.create({
      serverId: 'reload',
      store,
      routesFile: join(folder, 'routes.json'),
      logger,
    });
    const width = served.signature.inputs.length;
    const numbers = Float32Array.from({ length: width }, (_, i) => i);
    const columns = new Map(served.signature.inputs.map(({ name }, i) => [name, numbers.subarray(i, i + 1)]));
    const points: string[][] = [];
    const begin = performance.now();
    for (let generation = 1; generation <= reloads; generation++) {
      const model = { ...served, version: String(generation) };
      await host.applyRoutes({ endpoint: 'm', generation, routes: [{ model, weight: 100 }] });
      await host.version('m', model.version).run({ rows: 1, columns, numbers });
      if (generation !== 10 && generation % Math.ceil(reloads / POINTS) !== 0) continue;
      const { rss, heapUsed, external } = process.memoryUsage();
      points.push([
        String(generation),
        ...[rss, heapUsed, external].map((bytes) => (bytes / 2 ** 20).toFixed(1)),
        ((performance.now() - begin) / generation).toFixed(1),
      ]);
    }
    await host.close();
    process.stdout.write(
      `${machine()}\n\n${table(['reloads', 'RSS, MiB', 'heap, MiB', 'external, MiB', 'ms per reload'], points)}\n`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
