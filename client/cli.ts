#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { registerApproverCommands } from './commands/approver.ts';
import { registerAuditCommand } from './commands/audit.ts';
import { registerBacktestCommand } from './commands/backtest.ts';
import { registerCacheCommands } from './commands/cache.ts';
import { registerDemoCommand } from './commands/demo.ts';
import { registerEndpointCommands } from './commands/endpoint.ts';
import { registerEraseCommand } from './commands/erase.ts';
import { registerEventCommands } from './commands/events.ts';
import { registerExplainCommand } from './commands/explain.ts';
import { registerExportCommand } from './commands/export.ts';
import { registerFeaturesCommands } from './commands/features.ts';
import { registerFeedbackCommand } from './commands/feedback.ts';
import { registerInspectCommands } from './commands/inspect.ts';
import { registerLineageCommands } from './commands/lineage.ts';
import { registerMonitorCommand } from './commands/monitor.ts';
import { registerPlatformCommands } from './commands/platform.ts';
import { registerPredictCommand } from './commands/predict.ts';
import { registerPredictionsCommand } from './commands/predictions.ts';
import { registerProfileCommands } from './commands/profile.ts';
import { registerRetrainingCommands } from './commands/retraining.ts';
import { registerReviewCommands } from './commands/review.ts';
import { registerRunCommands } from './commands/run.ts';
import { registerScheduleCommands } from './commands/schedule.ts';
import { registerScoreCommand } from './commands/score.ts';
import { registerServerKeyCommands } from './commands/server-key.ts';
import { registerSpecCommands } from './commands/spec.ts';
import { registerTrainingCommand } from './commands/training.ts';
import { EXIT } from './output.ts';
import { packageRoot } from './platform/programs.ts';

const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
  version: string;
};

const program = new Command('perennial')
  .description('MLOps lifecycle engine on Temporal: from raw data to an approved, serving model')
  .version(version)
  .option('--json', 'print one JSON document instead of text')
  .option('--data-dir <folder>', 'data directory of the platform (default: PERENNIAL_DATA_DIR or .perennial)')
  .showSuggestionAfterError()
  .showHelpAfterError('(add --help for usage)')
  .configureHelp({ showGlobalOptions: true })
  .exitOverride((error) => process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.invalid))
  .addHelpText(
    'after',
    '\nStart here:\n  $ perennial init my-model && cd my-model\n  $ perennial up                     # in one terminal\n  $ perennial run pipeline.yaml      # in another\n\nExit codes: 0 done, 1 failed, 2 wrong usage or spec, 3 the run ended without a deployment',
  );

registerPlatformCommands(program);
registerRunCommands(program);
registerReviewCommands(program);
registerApproverCommands(program);
registerAuditCommand(program);
registerInspectCommands(program);
registerLineageCommands(program);
registerPredictCommand(program);
registerExplainCommand(program);
registerFeaturesCommands(program);
registerPredictionsCommand(program);
registerFeedbackCommand(program);
registerScoreCommand(program);
registerExportCommand(program);
registerEndpointCommands(program);
registerMonitorCommand(program);
registerBacktestCommand(program);
registerRetrainingCommands(program);
registerScheduleCommands(program);
registerCacheCommands(program);
registerEventCommands(program);
registerServerKeyCommands(program);
registerSpecCommands(program);
registerEraseCommand(program);
registerProfileCommands(program);
registerTrainingCommand(program);
registerDemoCommand(program);

await program.parseAsync();
