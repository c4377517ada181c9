import { writeFile } from 'node:fs/promises';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { bundleOptions, workflowsPath as ownWorkflows } from '../../workers/bundle.ts';

/** Bundles a workflow module into a file that workers load; takes seconds, so it is done once. */
export async function bundleTo(file: string, workflowsPath: string = ownWorkflows()): Promise<string> {
  const { code } = await bundleWorkflowCode({
    ...bundleOptions(),
    workflowsPath,
    logger: new DefaultLogger('ERROR'),
  });
  await writeFile(file, code);
  return file;
}
