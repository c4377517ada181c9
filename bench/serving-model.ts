import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';
import { z } from 'zod';
import { findPython } from '../client/platform/programs.ts';
import { type RouteTable, routeTable, type ServedModel } from '../contracts/serving.ts';
import { featuresSpec } from '../contracts/spec/features.ts';
import { configFromEnv } from '../lib/config.ts';
import { fitFeatures } from '../lib/features/fit.ts';
import { preprocessGraph } from '../lib/features/preprocess-graph.ts';
import { composeModel } from '../lib/onnx/compose.ts';
import { openStore } from '../lib/store/open-store.ts';
import { RoutesFile } from '../serving/routes-file.ts';
import { PEERS_FOLDER } from './peer-environments.ts';

const run = promisify(execFile);
const split = z.object({
  dataframe_split: z.object({ columns: z.array(z.string()), data: z.array(z.array(z.number())) }),
});

/** The model that all servers serve, and what is sent to them. */
export interface ServingModel {
  readonly folder: string;
  /** The bare model of a float matrix. */
  readonly onnx: string;
  /** The same trees composed with the preprocessing of their columns. */
  readonly composed: string;
  /** A data directory with the composed model of the same trees and the routes of a server. */
  readonly dataDir: string;
  readonly serverId: string;
  /** Ours as a route names it. */
  readonly served: ServedModel;
  /** A file with a request of so many rows. */
  body(kind: string, rows: number): string;
  /** Length of the JSON in front of the binary tensors. */
  headerLength(rows: number): number;
}

/**
 * Trains the LightGBM model once (28 features, 100 trees; `serve_model.py`), writes the bodies, composes it with the
 * preprocessing of its columns, and gives our server its routes.
 */
export async function servingModel(folder: string): Promise<ServingModel> {
  const serving = join(folder, 'serving');
  mkdirSync(serving, { recursive: true });
  const python = (script: string) =>
    run(findPython(undefined), ['-W', 'ignore', join(PEERS_FOLDER, script)], {
      env: { ...process.env, PEERS_HOME: folder },
    });
  if (!existsSync(join(serving, 'split100.json'))) await python('serve_model.py');
  if (!existsSync(join(serving, 'mlmodel1d'))) await python('mlflow_model.py');

  const { columns, data } = split.parse(
    JSON.parse(readFileSync(join(serving, 'split100.json'), 'utf8')),
  ).dataframe_split;
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  const rows = data.map((row) => `(${row.join(', ')})`).join(', ');
  await connection.run(`CREATE TABLE numbers (${columns.map((name) => `${name} DOUBLE`).join(', ')})`);
  await connection.run(`INSERT INTO numbers VALUES ${rows}`);
  const { plan } = await fitFeatures(
    connection,
    'numbers',
    columns.map((name) => ({ name, kind: 'numeric' })),
    featuresSpec.parse({}),
    { preset: 'tree' },
  );
  connection.closeSync();
  const { onnx, signature } = composeModel(preprocessGraph(plan), readFileSync(join(serving, 'model.onnx')), {
    task: 'binary',
    classNames: ['0', '1'],
  });
  writeFileSync(join(serving, 'composed.onnx'), onnx);

  const [dataDir, serverId] = [join(serving, 'data'), 'bench'];
  rmSync(dataDir, { recursive: true, force: true });
  const config = configFromEnv({ ...process.env, PERENNIAL_DATA_DIR: dataDir });
  const store = await openStore(config);
  const model: ServedModel = {
    version: '1',
    onnx: await store.putBytes(onnx, 'application/onnx'),
    signature,
  };
  const routes: RouteTable = routeTable.parse({
    endpoint: 'm',
    generation: 1,
    routes: [{ model, weight: 100 }],
  });
  const state = join(dataDir, 'servers', serverId);
  mkdirSync(state, { recursive: true });
  await new RoutesFile(join(state, 'routes.json')).write([routes]);

  const headers = new Map<number, number>();
  for (const count of [1, 100]) {
    const { header, body } = binaryRequest(columns, data.slice(0, count));
    headers.set(count, header);
    writeFileSync(join(serving, `binary${count}.json`), body);
  }
  return {
    folder: serving,
    onnx: join(serving, 'model.onnx'),
    composed: join(serving, 'composed.onnx'),
    dataDir,
    serverId,
    served: model,
    body: (kind, count) => join(serving, `${kind}${count}.json`),
    headerLength: (count) => headers.get(count) ?? 0,
  };
}

/**
 * A request with the binary tensor extension of the Open Inference Protocol, as `tritonclient[http]` sends it.
 *
 * @see https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
 */
function binaryRequest(columns: readonly string[], rows: readonly (readonly number[])[]) {
  const inputs = columns.map((name) => ({
    name,
    shape: [rows.length],
    datatype: 'FP32',
    parameters: { binary_data_size: 4 * rows.length },
  }));
  const json = Buffer.from(JSON.stringify({ inputs, parameters: { binary_data_output: true } }));
  const values = columns.map((_, column) => Float32Array.from(rows, (row) => row[column] ?? Number.NaN));
  return {
    header: json.length,
    body: Buffer.concat([json, ...values.map((own) => Buffer.from(own.buffer))]),
  };
}
