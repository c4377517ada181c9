// One comparison in a process of its own: node drift-once.mjs profile|whole|cached FOLDER PROFILE PAGE
// profile makes the reference and keeps it; whole makes it and compares; cached compares with the one that is kept.
// Prints one JSON line: seconds and CPU seconds without the process's start, peak memory, some of the figures.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { referenceProfile } from '../dist/contracts/monitoring-reference.js';
import { monitoringSpec } from '../dist/contracts/spec/monitoring.js';
import { assessWindow } from '../dist/domain/monitoring/assess.js';
import { measuresOf } from '../dist/domain/monitoring/measures.js';
import { Database } from '../dist/lib/duckdb/database.js';
import { buildReference } from '../dist/lib/monitoring/reference.js';
import { windowStatistics } from '../dist/lib/monitoring/window-statistics.js';
import { windowPage } from '../dist/lib/report/window-page/page.js';

const begin = performance.now();
const cpuBegin = process.cpuUsage();
const [mode, folder, profilePath, pagePath] = process.argv.slice(2);
const features = [
  ...Array.from({ length: 8 }, (_, i) => ({ name: `n${i + 1}`, kind: 'numeric' })),
  ...Array.from({ length: 4 }, (_, i) => ({ name: `c${i + 1}`, kind: 'categorical' })),
];
const problem = { task: 'binary', classNames: ['no', 'yes'], positiveClass: 'yes', threshold: 0.5 };
const monitoring = monitoringSpec.parse({ drift: { psi: 0.1, alpha: 0.01 } });
const plain = (name) => name;
const rows = (name) => `read_parquet('${join(folder, `${name}.parquet`)}')`;
const database = await Database.create({ tempDir: `${profilePath}.spill`, threads: 2 });

const reference =
  mode === 'cached'
    ? referenceProfile.parse(JSON.parse(await readFile(profilePath, 'utf8')))
    : await buildReference(database, {
        ...{ version: '1', words: 'half a million rows', features, problem, answered: null },
        rows: { relation: rows('ref'), columnOf: plain },
      });
if (mode === 'profile') await writeFile(profilePath, JSON.stringify(reference));

/** A year of windows before this one, of which the page shows the trend. */
const earlier = (window, measures) =>
  Array.from({ length: 365 }, (_, i) => ({
    window: { ...window, from: new Date(Date.parse(window.from) - (365 - i) * 86_400_000).toISOString() },
    ...{ labelled: null, measures, verdicts: [] },
  }));

async function compare() {
  const found = await windowStatistics(database, {
    ...{ reference, current: rows('cur'), labelled: null, problem, monitoring },
    columns: { featureOf: plain, outputOf: plain },
  });
  const window = { index: 365, from: '2026-01-01T00:00:00Z', before: '2026-01-02T00:00:00Z' };
  const report = {
    ...{ schemaVersion: 1, endpoint: 'bench', window, labelled: null, versions: { 1: found.rows }, ...found },
    ...{ concept: null, operations: null, skew: null, carriedOver: { detector: null, counters: {} } },
  };
  const judged = { ...report, verdicts: assessWindow(monitoring, report) };
  const page = windowPage(judged, earlier(window, measuresOf(judged)));
  await writeFile(pagePath, page);
  await writeFile(`${pagePath}.json`, JSON.stringify(judged));
  const n1 = found.columns.find(({ name }) => name === 'n1');
  return {
    ...{
      drifted: found.columns.filter(({ drifted }) => drifted).length,
      psi: n1?.psi,
      ks: n1?.ks?.statistic,
    },
    ...{ multivariate: found.multivariate?.error, page: page.length },
  };
}

const figures = mode === 'profile' ? {} : await compare();
database.close();
const seconds = (performance.now() - begin) / 1_000;
const cpu = process.cpuUsage(cpuBegin);
const cpuSeconds = (cpu.user + cpu.system) / 1e6;
const peakMiB = process.resourceUsage().maxRSS / 1_024;
process.stdout.write(`${JSON.stringify({ seconds, cpuSeconds, peakMiB, ...figures })}\n`);
