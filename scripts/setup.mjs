// Makes a checkout ready to use: `npm run setup`. Plain Node without dependencies, since it installs them.
// Each step looks first and works only where something is missing, so that running it again takes seconds.

import { buildTypeScript } from './setup/build.mjs';
import { prepareExamples } from './setup/examples.mjs';
import { acquireLock } from './setup/lock.mjs';
import { installNodeModules } from './setup/node-modules.mjs';
import { checkNode, findPython } from './setup/prerequisites.mjs';
import { providePython } from './setup/python.mjs';
import { SetupError, Steps } from './setup/steps.mjs';
import { provideTemporal } from './setup/temporal.mjs';

const OPT_OUTS = {
  DO_NOT_TRACK: '1',
  MLFLOW_DISABLE_TELEMETRY: 'true',
  NPM_CONFIG_UPDATE_NOTIFIER: 'false',
  NPM_CONFIG_FUND: 'false',
  NPM_CONFIG_AUDIT: 'false',
  PIP_DISABLE_PIP_VERSION_CHECK: '1',
  PIP_NO_INPUT: '1',
};

async function main() {
  Object.assign(process.env, OPT_OUTS);
  const steps = new Steps(6);
  let release = () => {};
  try {
    const python = await steps.run('prerequisites', () => {
      checkNode();
      return findPython();
    });
    release = await acquireLock((message) => steps.say(message));
    await steps.run('npm packages', installNodeModules);
    await steps.run('Temporal CLI', provideTemporal);
    await steps.run('Python packages', (progress) => providePython(python, progress));
    await steps.run('TypeScript build', buildTypeScript);
    await steps.run('example data', prepareExamples);
    steps.done();
  } catch (error) {
    // A remedy helps; a stack trace of this script does not.
    console.error(`\nsetup: ${error instanceof SetupError ? error.message : (error?.stack ?? error)}`);
    process.exitCode = 1;
  } finally {
    release();
  }
}

await main();
