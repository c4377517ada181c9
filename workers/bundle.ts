import { existsSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type BundleOptions, bundleWorkflowCode, type WorkflowBundle } from '@temporalio/worker';

const BUILT = fileURLToPath(new URL('./workflow-bundle.js', import.meta.url));

/** A module of the workflows' folder: `.js` in the package, `.ts` in the repository. */
function workflowModule(name: string): string {
  const built = fileURLToPath(new URL(`../workflows/${name}.js`, import.meta.url));
  return existsSync(built) ? built : fileURLToPath(new URL(`../workflows/${name}.ts`, import.meta.url));
}

/** The module that exports the workflows. */
export const workflowsPath = (): string => workflowModule('index');

/** How the workflows are bundled. */
export const bundleOptions = (): BundleOptions => ({
  workflowsPath: workflowsPath(),
  payloadConverterPath: workflowModule('payload-converter'),
});

/** The bundle that the build made, or one made now. Building takes seconds, so the package ships it. */
export async function workflowBundle(): Promise<WorkflowBundle | { codePath: string }> {
  return existsSync(BUILT) ? { codePath: BUILT } : bundleWorkflowCode(bundleOptions());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { code } = await bundleWorkflowCode(bundleOptions());
  await writeFile(`${BUILT}.tmp`, code);
  await rename(`${BUILT}.tmp`, BUILT);
}
