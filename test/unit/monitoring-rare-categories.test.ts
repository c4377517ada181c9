import { expect, it } from 'vitest';
import { type Category, categoryStatistics } from '../../lib/statistics/category-drift.ts';

const category = (name: string, reference: number, current: number): Category => ({
  name,
  reference,
  current,
  fresh: reference === 0 ? 1 : 0,
  freshRows: reference === 0 ? current : 0,
});
const CATEGORIES = [
  category('mobile', 90, 40),
  category('known to few', 3, 1),
  category('at the least', 4, 1),
  category('new', 0, 30),
  category('new to one', 0, 1),
];

it('what few rows have is counted and not named', () => {
  const { bins, newCategories } = categoryStatistics(CATEGORIES, 5);
  expect(bins).toEqual([
    { label: 'mobile', reference: 90, current: 40 },
    { label: 'at the least', reference: 4, current: 1 },
    { label: 'new', reference: 0, current: 30 },
    { label: 'other', reference: 3, current: 2 },
  ]);
  expect(newCategories).toEqual({ count: 2, rows: 31, share: 31 / 73, names: ['new'] });
});

it('the statistics are those of all categories', () => {
  const { bins, newCategories, ...rare } = categoryStatistics(CATEGORIES, 5);
  const { bins: all, newCategories: named, ...every } = categoryStatistics(CATEGORIES);
  expect(rare).toEqual(every);
  expect(all).toHaveLength(CATEGORIES.length);
  expect(named?.names).toEqual(['new', 'new to one']);
  expect([bins, newCategories]).not.toEqual([all, named]);
});
