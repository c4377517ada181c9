// One point-in-time join in a process of its own: node point-in-time-once.mjs ours|asof|range|sums|pairs|means FOLDER
// [MEMORY]; FOLDER has events.parquet and labels.parquet, and gets <mode>.parquet with the columns label, h1, h6, h24, d7.
// means is no join: the means at each event, as somebody computes them who lets Feast join. Prints one JSON line:
// seconds and CPU seconds without the process's start, peak memory.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { featureView } from '../dist/contracts/spec/feature-views.js';
import { joinFeatures } from '../dist/lib/feature-store/join-features.js';

const [mode, folder, memory] = process.argv.slice(2);
const file = (name) => join(folder, `${name}.parquet`);
const [events, labels] = [`read_parquet('${file('events')}')`, `read_parquet('${file('labels')}')`];
const WINDOWS = { h1: '1 hour', h6: '6 hours', h24: '24 hours', d7: '7 days' };
const each = (write, between = ', ') => Object.entries(WINDOWS).map(write).join(between);

const ours = () =>
  joinFeatures({
    sources: [{ name: 'payments', files: [file('events')] }],
    views: {
      paid: featureView.parse({
        ...{ events: 'SELECT * FROM payments', entity: 'account', timestamp: 'moment' },
        ...{ windows: ['1h', '6h', '24h', '7d'], features: { mean: 'avg(amount)' } },
      }),
    },
    ...{ tablePath: file('labels'), timestamp: 'moment', outPath: file('ours') },
    ...{ spillDir: join(folder, 'spill'), memoryLimit: memory },
  });

/** A frame of RANGE: from the window's begin to the moment before the row's own. */
const before = (length) =>
  `(PARTITION BY account ORDER BY moment RANGE BETWEEN INTERVAL ${length} PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING)`;
/** The running sum and count after the last event before a moment of a label. */
const known = (name, back) =>
  `ASOF LEFT JOIN running AS ${name} ON labels.account = ${name}.account AND labels.moment ${back} > ${name}.moment`;

const SQL = {
  /** The latest event before each label. */
  asof: `SELECT label, labels.account, labels.moment, amount
    FROM ${labels} AS labels ASOF LEFT JOIN ${events} AS events
    ON labels.account = events.account AND labels.moment > events.moment`,
  /** Frames over events and labels in one. */
  range: `SELECT label, ${each(([name]) => name)} FROM (
    SELECT label, ${each(([name, length]) => `avg(amount) OVER ${before(length)} AS ${name}`)}
    FROM (SELECT account, moment, amount, NULL AS label FROM ${events}
      UNION ALL SELECT account, moment, NULL, label FROM ${labels})
    ) WHERE label IS NOT NULL`,
  /** Running sums, looked up at both ends of a window. */
  sums: `WITH running AS MATERIALIZED (
      SELECT account, moment, sum(amount) OVER w AS total, count(amount) OVER w AS n FROM ${events}
      WINDOW w AS (PARTITION BY account ORDER BY moment))
    SELECT label, ${each(
      ([name]) =>
        `(latest.total - coalesce(${name}.total, 0)) / nullif(latest.n - coalesce(${name}.n, 0), 0) AS ${name}`,
    )}
    FROM ${labels} AS labels ${known('latest', '')}
    ${each(([name, length]) => known(name, `- INTERVAL ${length}`), '\n')}`,
  /** Each label with each of its events, and then what is within. */
  pairs: `SELECT label, ${each(
    ([name, length]) =>
      `avg(amount) FILTER (WHERE events.moment >= labels.moment - INTERVAL ${length}) AS ${name}`,
  )}
    FROM ${labels} AS labels LEFT JOIN ${events} AS events
    ON labels.account = events.account AND events.moment < labels.moment AND events.moment >= labels.moment - INTERVAL 7 days
    GROUP BY label`,
  means: `SELECT account, moment, ${each(
    ([name, length]) =>
      `avg(amount) OVER (PARTITION BY account ORDER BY moment RANGE BETWEEN INTERVAL ${length} PRECEDING AND CURRENT ROW) AS ${name}`,
  )} FROM ${events}`,
};

async function plain(sql) {
  const instance = await DuckDBInstance.create(':memory:', {
    ...{ temp_directory: join(folder, 'spill'), memory_limit: memory, preserve_insertion_order: 'false' },
  });
  const connection = await instance.connect();
  await connection.run(`COPY (${sql}) TO '${file(mode)}' (FORMAT parquet)`);
  connection.closeSync();
  instance.closeSync();
}

// A path that is there already would be written beside it first.
rmSync(file(mode), { force: true });
const begin = performance.now();
const cpuBegin = process.cpuUsage();
await (mode === 'ours' ? ours() : plain(SQL[mode]));
const seconds = (performance.now() - begin) / 1_000;
const cpu = process.cpuUsage(cpuBegin);
const cpuSeconds = (cpu.user + cpu.system) / 1e6;
const peakMiB = process.resourceUsage().maxRSS / 1_024;
process.stdout.write(`${JSON.stringify({ seconds, cpuSeconds, peakMiB })}\n`);
