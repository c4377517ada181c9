/**
 * A project of somebody else, who has a Temporal worker already and adds Perennial to it: the files of its `src/`, in
 * the words of the README.
 */
export const PLUGIN_PROJECT: Record<string, string> = {
  'src/activities.ts': `
export async function ingest(name: string): Promise<string> {
  return \`own ingest of \${name}\`;
}
`,
  'src/workflows.ts': `
import { proxyActivities } from '@temporalio/workflow';
import type * as activities from './activities.js';

export * from 'perennial-mlops/workflow';

const { ingest } = proxyActivities<typeof activities>({ startToCloseTimeout: '10s' });

export async function ownWorkflow(name: string): Promise<string> {
  return ingest(name);
}
`,
  'src/worker.ts': `
import { fileURLToPath } from 'node:url';
import { NativeConnection, Worker } from '@temporalio/worker';
import { MlopsPlugin, type MlopsPluginOptions } from 'perennial-mlops';
import * as activities from './activities.js';

const { ADDRESS, DATA_DIR, MLFLOW, PYTHON, SOURCES } = process.env as Record<string, string>;
const options: MlopsPluginOptions = {
  dataDir: DATA_DIR!,
  mlflowTrackingUri: MLFLOW!,
  python: PYTHON!,
  sourceRoots: [SOURCES!],
};
const connection = await NativeConnection.connect({ address: ADDRESS! });
const worker = await Worker.create({
  connection,
  taskQueue: 'ml',
  workflowsPath: fileURLToPath(new URL('./workflows.js', import.meta.url)),
  activities,
  plugins: [new MlopsPlugin(options)],
});
process.once('SIGTERM', () => worker.shutdown());
const running = worker.run();
console.log(JSON.stringify({ ready: true }));
await running;
await connection.close();
`,
  'src/client.ts': `
import { Client, Connection } from '@temporalio/client';
import { definePipeline } from 'perennial-mlops';
import { loadSpec, PerennialClient } from 'perennial-mlops/client';
import { type LifecycleResult, pipelineSpec, type RunStatus, STAGES } from 'perennial-mlops/contracts';
import type { ownWorkflow } from './workflows.js';

/** Only the types of this one are of interest: a pipeline written in TypeScript. */
export const written = definePipeline({
  name: 'written',
  task: 'binary',
  data: { sources: { bank: 'bank.csv' } },
  columns: { target: 'y', entity: 'id' },
  // @ts-expect-error there is no such trainer
  candidates: ['light-gbm'],
});

const connection = await Connection.connect({ address: process.env.ADDRESS! });
const client = new Client({ connection });
const own: string = await client.workflow.execute<typeof ownWorkflow>('ownWorkflow', {
  taskQueue: 'ml',
  workflowId: 'own',
  args: ['rows'],
});

const perennial = new PerennialClient(client, 'ml');
const { input, spec } = await loadSpec(process.env.SPEC!);
const { workflowId } = await perennial.start(input);
let status: RunStatus = await perennial.status(workflowId);
while (!status.awaiting) {
  if (status.state !== 'running') throw new Error(\`\${status.state}: \${status.error}\`);
  await new Promise((resolve) => setTimeout(resolve, 300));
  status = await perennial.status(workflowId);
}
const { candidate } = status.awaiting;
await perennial.review(workflowId, { decision: 'approve', by: 'Ada', reason: 'fine', candidate });
const result: LifecycleResult = await perennial.result(workflowId);
console.log(JSON.stringify({ own, result, stages: STAGES.length, parsed: pipelineSpec.parse(input).name === spec.name }));
await connection.close();
`,
  'tsconfig.json': JSON.stringify({
    compilerOptions: {
      ...{ target: 'es2023', module: 'nodenext', moduleResolution: 'nodenext', types: ['node'] },
      ...{ strict: true, skipLibCheck: true, rootDir: 'src', outDir: 'out' },
    },
    include: ['src'],
  }),
};
