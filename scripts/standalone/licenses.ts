import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';
import { z } from 'zod';

const manifest = z.looseObject({
  name: z.string(),
  version: z.string(),
  license: z.string().optional(),
  homepage: z.string().optional(),
  repository: z.union([z.string(), z.looseObject({ url: z.string() })]).optional(),
});

/** Folders below the root of the packages that a bundle took code from. */
export function packagesOf({ outputs }: Metafile): string[] {
  const folders = Object.values(outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => {
      const [, folder] = /^((?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path) ?? [];
      return folder && bytesInOutput > 0 ? [folder.replace(/^node_modules\//, '')] : [];
    }),
  );
  return [...new Set(folders)];
}

/**
 * Name, version and licence text of packages, in the order of their names: what their licences ask of those who pass
 * the code on.
 *
 * @param folders below `node_modules`
 * @throws Error where a package names no licence
 */
export async function thirdPartyLicenses(root: string, folders: readonly string[]): Promise<string> {
  const entries = await Promise.all(
    [...new Set(folders)].map(async (name) => {
      const folder = join(root, 'node_modules', name);
      const facts = manifest.parse(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')));
      const files = (await readdir(folder))
        .filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
        .sort();
      const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
      if (!facts.license && texts.length === 0) throw new Error(`${name} names no licence`);
      const { repository } = facts;
      const source = typeof repository === 'string' ? repository : (repository?.url ?? facts.homepage ?? '');
      const title = `${facts.name} ${facts.version} (${facts.license ?? 'see below'})`;
      const words = texts.map((text) => text.replaceAll('\r\n', '\n').trim());
      return {
        key: `${facts.name} ${facts.version}`,
        text: [
          title,
          ...(source ? [source] : []),
          ...(words.length > 0 ? ['', words.join('\n\n')] : []),
        ].join('\n'),
      };
    }),
  );
  const line = '-'.repeat(80);
  return `${entries
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ text }) => text)
    .join(`\n\n${line}\n\n`)}\n`;
}
