import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { pathPattern, readEndpointTables } from './endpoint-table.ts';
import { startMlflow } from './mlflow-server.ts';
import { partsStoreEnv, startPartsStore } from './parts-store.ts';

declare module 'vitest' {
  interface ProvidedContext {
    mlflowUri: string;
    recordingFile: string;
    /** Python package of the test store. */
    partsStorePackage: string;
    partsStoreRoot: string;
    partsStoreUrl: string;
  }
}

const here = dirname(fileURLToPath(import.meta.url));

/** Starts the server all integration tests share; checks at the end which endpoints were reached. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const root = mkdtempSync(join(tmpdir(), 'mlflow-client-ts-store-'));
  const store = await startPartsStore(root);
  const server = await startMlflow({
    env: {
      ...partsStoreEnv(join(here, 'parts-store'), root, store.url),
      // Deliveries to this machine, which is the only receiver tests have.
      MLFLOW_WEBHOOK_ALLOWED_SCHEMES: 'http,https',
      MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS: 'true',
      MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES: '0',
    },
  });
  const recordingFile = join(tmpdir(), `mlflow-client-ts-${process.pid}.tsv`);
  writeFileSync(recordingFile, '');
  project.provide('mlflowUri', server.uri);
  project.provide('recordingFile', recordingFile);
  project.provide('partsStorePackage', join(here, 'parts-store'));
  project.provide('partsStoreRoot', root);
  project.provide('partsStoreUrl', store.url);
  return async () => {
    await server.stop();
    await store.close();
    rmSync(root, { recursive: true, force: true });
    const recorded = readFileSync(recordingFile, 'utf8');
    rmSync(recordingFile, { force: true });
    const ran = project.vitest.state.getFiles().filter((file) => file.projectName === 'integration');
    // Only some tests were asked for: nothing can be said about the whole.
    if (ran.length < testFiles() || project.config.testNamePattern !== undefined) return;
    await assertReached(recorded);
  };
}

function testFiles(): number {
  return readdirSync(join(here, '..', 'integration')).filter((name) => name.endsWith('.test.ts')).length;
}

/** Fails unless every row's endpoint was reached with success during the test the row names. */
async function assertReached(recorded: string): Promise<void> {
  const { covered, routes } = await readEndpointTables();
  const hits = recorded.split('\n').map((line) => line.split('\t'));
  const missing = [...covered, ...routes].filter((row) => {
    const pattern = pathPattern(row.path);
    return !hits.some(
      ([http, path = '', outcome, test = '']) =>
        http === row.http && outcome === 'ok' && pattern.test(path) && test.endsWith(row.test),
    );
  });
  if (missing.length === 0) return;
  // Vitest prints what a teardown throws but does not fail for it.
  process.exitCode = 1;
  const list = missing.map((row) => `${row.http} ${row.path} in "${row.test}"`).join('\n  ');
  throw new Error(`endpoints of ENDPOINTS.md not reached by the test they name:\n  ${list}`);
}
