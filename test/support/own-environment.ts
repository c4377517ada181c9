import { afterAll } from 'vitest';

/** Files that share a process leave its environment as they found it: what one sets, the programs of the next would see. */
const found = { ...process.env };

afterAll(() => {
  for (const name of Object.keys(process.env)) if (!(name in found)) delete process.env[name];
  Object.assign(process.env, found);
});
