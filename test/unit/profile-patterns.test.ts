import { describe, expect, it } from 'vitest';
import { patternOf } from '../../lib/profile/text-pattern.ts';

describe('the format of texts', () => {
  it.each([
    [['AAA'], '[A-Z]{3}'],
    [['AAA-999', 'AAA-9999'], '[A-Z]{3}-[0-9]{3,4}'],
    [['999.999.9.9', '9.9.99.99'], '[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,2}\\.[0-9]{1,2}'],
    [['A9'], '[A-Z][0-9]'],
    [['(99)'], '\\([0-9]{2}\\)'],
  ])('%j is %s', (shapes, pattern) => expect(patternOf(shapes)).toBe(pattern));

  it.each([
    [[]],
    [['']],
    [['aaaa']],
    [['AAA', 'A']],
    [['A9', '9A']],
    [['Aaa aaa']],
    [['A--9', 'A-9']],
    [['Aé']],
    [['A9'.repeat(40)]],
  ])('%j has none', (shapes) => expect(patternOf(shapes)).toBeNull());
});
