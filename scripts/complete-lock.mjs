// Completes package-lock.json where the registry in use does not serve the binaries of other platforms: npm then
// leaves them out of the lock, and `npm ci` refuses it. Run it after each change of the dependencies.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = fileURLToPath(new URL('../package-lock.json', import.meta.url));
const lock = JSON.parse(readFileSync(path, 'utf8'));
const SYSTEMS = [
  'darwin',
  'win32',
  'linux',
  'android',
  'freebsd',
  'netbsd',
  'openbsd',
  'sunos',
  'aix',
  'openharmony',
];
const PROCESSORS = [
  'arm64',
  'x64',
  'ia32',
  'arm',
  'ppc64',
  's390x',
  'riscv64',
  'loong64',
  'mips64el',
  'wasm32',
];

/** The words of a package name such as `@swc/core-linux-arm64-musl`. */
const wordsOf = (name) => name.split(/[/-]/);
const only = (key, value) => (value ? { [key]: [value] } : {});

const added = [];
for (const [owner, entry] of Object.entries(lock.packages))
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const place = `node_modules/${name}`;
    if (lock.packages[`${owner}/${place}`] || lock.packages[place] || !/^\d+\.\d+\.\d+/.test(version))
      continue;
    const words = wordsOf(name);
    lock.packages[place] = {
      version,
      ...only(
        'cpu',
        PROCESSORS.find((processor) => words.includes(processor)),
      ),
      ...(entry.dev ? { dev: true } : {}),
      optional: true,
      ...only(
        'os',
        SYSTEMS.find((system) => words.includes(system)),
      ),
    };
    added.push(`${name} ${version}`);
  }

const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1));
lock.packages = Object.fromEntries(sorted);
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(added.length > 0 ? `added ${added.join(', ')}\n` : 'nothing to add\n');
