import { relative } from 'node:path';
import type { Command } from 'commander';
import { mlflowOf } from '../context.ts';
import { exportModel, type ModelExport } from '../export/model-export.ts';
import { EXIT, guarded, outputOf } from '../output.ts';
import { dataDirOf } from './options.ts';

interface ExportOptions {
  to: string;
  force?: boolean;
  withoutRuntime?: boolean;
  image?: string;
}

/** `export`: a version as a folder that serves it anywhere. */
export function registerExportCommand(program: Command): void {
  program
    .command('export')
    .argument('<model>', 'a registered model; also model@alias, model/version')
    .argument('[version]', 'a version or an alias (default: champion)')
    .requiredOption('--to <folder>', 'the folder to write')
    .description(
      'a version with its server, Dockerfile and Kubernetes manifests, as a folder that starts alone',
    )
    .option('--force', 'replace an export that is in the folder')
    .option('--without-runtime', 'leave ONNX Runtime out; `npm ci` in the folder brings it')
    .option('--image <name>', 'the image that the manifests name (default: model:version)')
    .addHelpText(
      'after',
      '\nExamples:\n  $ perennial export flights-delay --to flights-delay-server\n  $ perennial export flights-delay/3 --to out --image registry.example.org/flights-delay:3\n  $ out/start.sh',
    )
    .action((model: string, version: string | undefined, options: ExportOptions, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        const { to, force, image } = options;
        const runtime = !options.withoutRuntime;
        const mlflow = mlflowOf(dataDirOf(command));
        const found = await exportModel(mlflow, { model, version, to, force, runtime, image });
        output.result(found, () => exportText(found));
        return EXIT.ok;
      });
    });
}

function exportText({ folder, name, version, sha256, platform, files, bytes }: ModelExport): string {
  const shown = relative(process.cwd(), folder);
  const path = shown === '' || shown.startsWith('..') ? folder : `./${shown}`;
  const first = platform === null ? `(cd ${path} && npm ci) && ` : '';
  return [
    `exported ${name}, version ${version} (sha256 ${sha256.slice(0, 12)}), to ${path}: ${files} files, ${(bytes / 1e6).toFixed(1)} MB${platform === null ? '' : `, runtime for ${platform}`}`,
    `start it: ${first}${path}/start.sh`,
  ].join('\n');
}
