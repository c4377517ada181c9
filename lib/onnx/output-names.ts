import type { Task } from '../../contracts/spec/task.ts';

/**
 * The names of a multi-class model's probability outputs, in the order of the classes: `probability_<class>` with
 * everything that is no letter, digit or `_` replaced by `_`; unique even where case does not count (a number is
 * added), as SQL and file systems want it.
 *
 * @example probabilityNames(['a b', 'a-b', 'ü']) // ['probability_a_b', 'probability_a_b_2', 'probability_ü']
 */
export function probabilityNames(classNames: readonly string[]): string[] {
  const taken = new Set<string>();
  return classNames.map((className) => {
    const base = `probability_${className.normalize('NFC').replace(/[^\p{L}\p{N}_]/gu, '_')}`;
    let name = base;
    for (let copy = 2; taken.has(name.toLowerCase()); copy++) name = `${base}_${copy}`;
    taken.add(name.toLowerCase());
    return name;
  });
}

/** The outputs of a composed model in order: a feature column must not have such a name. */
export function outputNames(task: Task, classNames: readonly string[]): string[] {
  switch (task) {
    case 'binary':
      return ['label', 'probability'];
    case 'multiclass':
      return ['label', ...probabilityNames(classNames)];
    case 'regression':
      return ['prediction'];
  }
}
