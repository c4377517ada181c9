import pc from 'picocolors';

/** A line of a tree, and what hangs below it. */
export interface TreeNode {
  label: string;
  /** Dimmed, behind the label; cut where the line is full. */
  facts?: string;
  /** A line of its own below, never cut. */
  warning?: string;
  children?: TreeNode[];
}

/** Columns of the terminal; a pipe has no end of line. */
export const terminalWidth = (): number =>
  process.stdout.isTTY ? Math.max(40, process.stdout.columns) : Number.POSITIVE_INFINITY;

/** @example cut('a long text', 6) === 'a lon…' */
export const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;

/**
 * A tree as lines.
 *
 * @param width characters of a line at the most
 */
export function treeText(root: TreeNode, width = terminalWidth()): string {
  return lines(root, '', '', width, true).join('\n');
}

function lines(node: TreeNode, lead: string, below: string, width: number, isRoot: boolean): string[] {
  const children = node.children ?? [];
  const label = cut(node.label, width - lead.length);
  const room = width - lead.length - label.length - 2;
  const facts = node.facts && room > 3 ? `  ${pc.dim(cut(node.facts, room))}` : '';
  const stem = `${below}${children.length > 0 ? '│  ' : '   '}`;
  return [
    `${pc.dim(lead)}${isRoot ? pc.bold(label) : label}${facts}`,
    ...(node.warning
      ? wrapped(node.warning, width - stem.length - 2).map(
          (line, i) => `${pc.dim(stem)}${i === 0 ? pc.yellow('!') : ' '} ${line}`,
        )
      : []),
    ...children.flatMap((child, i) => {
      const last = i === children.length - 1;
      return lines(child, `${below}${last ? '└─ ' : '├─ '}`, `${below}${last ? '   ' : '│  '}`, width, false);
    }),
  ];
}

/** Words in lines of a width; a word that is longer has a line of its own. */
export function wrapped(text: string, width: number): string[] {
  const found: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      found.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...found, line];
}
