/** The typed client of Perennial's workflows. */
export { PerennialClient, type RunSummary, type StartOptions } from './perennial-client.ts';
export { type LoadedSpec, loadSpec } from './spec-file.ts';
