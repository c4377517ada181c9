import { describe, expect, it } from 'vitest';
import { SEARCH_ATTRIBUTES } from '../../contracts/names.ts';
import { untilDone } from '../../workers/retry.ts';
import { type AttributeRegistry, settleSearchAttributes } from '../../workers/search-attributes.ts';

const BACKOFF = { firstMs: 1, lastMs: 2 };

describe('untilDone', () => {
  it('tells each failure and gives the first success', async () => {
    const failures: unknown[] = [];
    let tries = 0;
    const work = async (): Promise<number> => {
      tries++;
      if (tries < 4) throw new Error(`try ${tries}`);
      return tries;
    };
    const result = await untilDone(work, BACKOFF, new AbortController().signal, (error) =>
      failures.push(error),
    );
    expect(result).toBe(4);
    expect(failures.map(String)).toEqual(['Error: try 1', 'Error: try 2', 'Error: try 3']);
  });

  it.each(['while it works', 'while it waits'])('ends when it is stopped %s', async (when) => {
    const controller = new AbortController();
    let tries = 0;
    const work = async (): Promise<never> => {
      tries++;
      if (when === 'while it works') controller.abort();
      throw new Error('broken');
    };
    const running = untilDone(work, { firstMs: 60_000, lastMs: 60_000 }, controller.signal, () =>
      controller.abort(),
    );
    await expect(running).rejects.toThrow();
    expect(tries).toBe(1);
  });
});

const NAMES = Object.values(SEARCH_ATTRIBUTES).map(({ name }) => name);
const FIRST = NAMES[0] ?? '';
const denied = (): Promise<never> => Promise.reject(new Error('PERMISSION_DENIED'));

async function settle(registry: AttributeRegistry): Promise<string[]> {
  const warnings: string[] = [];
  await settleSearchAttributes(registry, 'ml', (message) => warnings.push(message));
  return warnings;
}

describe('search attributes', () => {
  it('are left alone where all are there', async () => {
    expect(await settle({ names: async () => [...NAMES, 'Other'], add: denied })).toEqual([]);
  });

  it('are added where some are missing', async () => {
    const added: string[] = [];
    await settle({
      names: async () => NAMES.slice(1),
      add: async (missing) => void added.push(...missing.map(({ name }) => name)),
    });
    expect(added).toEqual([FIRST]);
  });

  it('are taken to be there, with the commands as a warning, where the server does not say', async () => {
    const [warning] = await settle({ names: denied, add: denied });
    expect(warning).toContain('PERMISSION_DENIED');
    for (const name of NAMES) expect(warning).toContain(`--namespace ml --name ${name} --type`);
  });

  it('fail with the commands where they are missing and cannot be added', async () => {
    const settling = settle({ names: async () => NAMES.slice(1), add: denied });
    await expect(settling).rejects.toThrow(
      new RegExp(`lacks search attributes \\(PERMISSION_DENIED\\)[\\s\\S]*--name ${FIRST} `),
    );
    await expect(settling).rejects.not.toThrow(new RegExp(`--name ${NAMES[1]} `));
  });

  it('are found where another worker was faster', async () => {
    let asked = 0;
    const names = async (): Promise<string[]> => (asked++ === 0 ? [] : NAMES);
    expect(await settle({ names, add: denied })).toEqual([]);
  });
});
