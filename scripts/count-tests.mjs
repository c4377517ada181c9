// Adds up the JSON reports that vitest wrote into a folder, says which tests failed and with what words, and closes with
// `N passed, N failed`. A step that failed without a failed test (types, lint, set-up, the demo) counts as one failure,
// so that it cannot pass unseen.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder = '', steps = '0'] = process.argv.slice(2);
let passed = 0;
let failed = 0;
for (const name of readdirSync(folder)) {
  const report = JSON.parse(readFileSync(join(folder, name), 'utf8'));
  passed += report.numPassedTests;
  // A file that could not be loaded, or whose preparation failed, has no failed test of its own.
  const broken = report.testResults.filter(
    (file) => file.status === 'failed' && failedTests(file).length === 0,
  ).length;
  failed += report.numFailedTests + broken;
  for (const file of report.testResults) tellFailures(file);
}
if (failed === 0) failed = Number(steps);
if (passed === 0 && failed === 0) failed = 1;
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);

function failedTests({ assertionResults }) {
  return assertionResults.filter((test) => test.status === 'failed');
}

function tellFailures(file) {
  const { name, status, message } = file;
  const tests = failedTests(file);
  for (const test of tests) tell(`${name} > ${test.fullName}`, test.failureMessages[0]);
  if (status === 'failed' && tests.length === 0) tell(name, message);
}

function tell(what, why = '') {
  process.stdout.write(`FAILED ${what}\n  ${why.split('\n', 5).join('\n  ')}\n`);
}
