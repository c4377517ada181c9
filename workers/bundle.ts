import { existsSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, type WorkflowBundle } from '@temporalio/worker';

const BUILT = fileURLToPath(new URL('./workflow-bundle.js', import.meta.url));

/** The workflow module: `.js` in the package, `.ts` in the repository. */
export function workflowsPath(): string {
  const built = fileURLToPath(new URL('../workflows/index.js', import.meta.url));
  return existsSync(built) ? built : fileURLToPath(new URL('../workflows/index.ts', import.meta.url));
}

/** The bundle that the build made, or one made now. Building takes seconds, so the package ships it. */
export async function workflowBundle(): Promise<WorkflowBundle | { codePath: string }> {
  return existsSync(BUILT) ? { codePath: BUILT } : bundleWorkflowCode({ workflowsPath: workflowsPath() });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { code } = await bundleWorkflowCode({ workflowsPath: workflowsPath() });
  await writeFile(`${BUILT}.tmp`, code);
  await rename(`${BUILT}.tmp`, BUILT);
}
