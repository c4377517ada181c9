import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readNpy, writeNpy } from '../../lib/npy.ts';
import { createNpy, NpyRows } from '../../lib/npy-file.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'npy-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A file as NumPy would write it, with any header. */
async function raw(header: string, data: Uint8Array, version = 1): Promise<string> {
  const path = join(folder, 'raw.npy');
  const text = Buffer.from(`${header}\n`, 'latin1');
  const start = Buffer.from([
    0x93,
    0x4e,
    0x55,
    0x4d,
    0x50,
    0x59,
    version,
    0,
    ...new Array(version === 1 ? 2 : 4).fill(0),
  ]);
  start.writeUIntLE(text.length, 8, version === 1 ? 2 : 4);
  await writeFile(path, Buffer.concat([start, text, data]));
  return path;
}

describe('npy files', () => {
  it.each([
    ['float32', new Float32Array([1.5, -0, Number.NaN, Number.POSITIVE_INFINITY, 1e-40, 3]), [2, 3]],
    ['int32', new Int32Array([0, -1, 2147483647]), [3]],
    ['float64', new Float64Array([Math.PI]), []],
    ['float32', new Float32Array(0), [0, 7]],
  ] as const)('keep %s values and shape', async (dtype, data, shape) => {
    const path = join(folder, 'a.npy');
    await writeNpy(path, data, shape);
    expect(await readNpy(path)).toEqual({ dtype, shape: [...shape], data });
  });

  it('write a part of a larger buffer', async () => {
    const path = join(folder, 'part.npy');
    await writeNpy(path, new Float32Array([9, 1, 2, 9]).subarray(1, 3), [2]);
    expect((await readNpy(path)).data).toEqual(new Float32Array([1, 2]));
  });

  it('have the bytes that NumPy writes', async () => {
    const path = join(folder, 'bytes.npy');
    await writeNpy(path, new Float32Array([1, 2]), [2]);
    const bytes = await readFile(path);
    expect(bytes.subarray(0, 10)).toEqual(Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 118, 0]));
    expect(bytes.toString('latin1', 10, 128)).toBe(
      `${"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }".padEnd(117)}\n`,
    );
    expect(bytes.subarray(128)).toEqual(Buffer.from([0, 0, 0x80, 0x3f, 0, 0, 0, 0x40]));
  });

  it('of version 2 are read too', async () => {
    const header = "{'descr': '<i4', 'fortran_order': False, 'shape': (1,), }";
    expect((await readNpy(await raw(header, new Uint8Array([5, 0, 0, 0]), 2))).data).toEqual(
      new Int32Array([5]),
    );
  });

  it.each([
    ['another type', "{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }", 8, /its type is <i8/],
    ['big-endian numbers', "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", 4, /its type is >f4/],
    ['records', "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", 4, /holds records/],
    ['Fortran order', "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }", 4, /Fortran order/],
    ['missing data', "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", 20, /20 of 24 bytes/],
    ['an unreadable header', '{}', 4, /header cannot be understood/],
  ])('with %s are refused', async (_what, header, bytes, message) => {
    const path = await raw(header, new Uint8Array(bytes));
    await expect(readNpy(path)).rejects.toMatchObject({ name: 'PerennialError', code: 'TrainerContract' });
    await expect(readNpy(path)).rejects.toThrow(message);
  });

  it('that are no npy files are refused', async () => {
    const path = join(folder, 'text.npy');
    await writeFile(path, 'a,b,c\n1,2,3\n4,5,6\n');
    await expect(readNpy(path)).rejects.toThrow(/does not start as one/);
    await writeFile(path, '');
    await expect(readNpy(path)).rejects.toThrow(/does not start as one/);
  });

  it('are not written when shape and data disagree', async () => {
    await expect(writeNpy(join(folder, 'x.npy'), new Float32Array(5), [2, 3])).rejects.toThrow(
      /needs 6 elements, there are 5/,
    );
  });
});

describe('npy files that are written part by part', () => {
  it.each([
    ['int32', [3], [new Int32Array([1, -2]), new Int32Array([3])]],
    ['float32', [2, 2], [new Float32Array([1, 2]), new Float32Array([3, Number.NaN])]],
    ['float64', [2, 1], [new Float64Array([Math.PI]), new Float64Array([-0])]],
  ] as const)('are those that are written at once: %s', async (dtype, shape, parts) => {
    const [path, other] = [join(folder, 'parts.npy'), join(folder, 'whole.npy')];
    await createNpy(path, dtype, shape);
    const file = await NpyRows.open(path);
    for (const part of parts) await file.append(part);
    await file.close();
    await writeNpy(other, (await readNpy(path)).data, shape);
    expect(await readFile(path)).toEqual(await readFile(other));
    expect([...(await readNpy(path)).data]).toEqual(parts.flatMap((part) => [...part]));
  });

  it('are written from any row on, and are zeros elsewhere', async () => {
    const path = join(folder, 'rows.npy');
    await createNpy(path, 'float32', [4, 2]);
    const file = await NpyRows.open(path, 2);
    await file.append(new Float32Array([5, 6]));
    await file.close();
    expect([...(await readNpy(path)).data]).toEqual([0, 0, 0, 0, 5, 6, 0, 0]);
  });

  it('are not opened where they are none', async () => {
    const path = join(folder, 'none.npy');
    await writeFile(path, 'rows');
    await expect(NpyRows.open(path)).rejects.toMatchObject({ code: 'TrainerContract' });
  });
});
