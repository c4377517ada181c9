/** Perennial for a Temporal worker: the plugin, and how a pipeline is written in TypeScript. */
export { definePipeline, type PipelineSpec, type PipelineSpecInput } from './contracts/spec/pipeline.ts';
export type { CheckContext, CheckVerdict, CustomCheck } from './lib/custom-checks/check-frame.ts';
export { MlopsPlugin, type MlopsPluginOptions } from './workers/plugin.ts';
