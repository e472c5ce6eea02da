// Two traces side by side: spans are matched by their path of (service, name) from the top, and counted together on it.
import { GHOST, type Times, type Tree } from './tree';

export interface Side {
  spans: number;
  errors: number;
  total: number; // sum of durations, ns
}
export interface Difference {
  depth: number;
  service: string;
  name: string;
  a: Side;
  b: Side;
  size: number; // rows of its subtree, itself included
}

interface Node extends Difference {
  children: Map<string, Node>;
  firstStart: number;
}

function add(root: Node, tree: Tree, times: Times, side: 'a' | 'b'): void {
  const nodeOf: Node[] = new Array(tree.nodes);
  for (const index of tree.order) {
    const up = tree.parent[index] === -1 ? root : nodeOf[tree.parent[index]];
    const ghost = (tree.flags[index] & GHOST) !== 0;
    const service = ghost ? '' : tree.services[tree.service[index]];
    const name = ghost ? 'absent parent' : tree.name[index];
    const key = `${service}\u0000${name}`;
    let node = up.children.get(key);
    if (!node) {
      const none = () => ({ spans: 0, errors: 0, total: 0 });
      node = { depth: up.depth + 1, service, name, a: none(), b: none(), size: 1, children: new Map(), firstStart: times.start[index] - times.from };
      up.children.set(key, node);
    }
    nodeOf[index] = node;
    node[side].spans += 1;
    node[side].errors += tree.error[index];
    node[side].total += ghost ? 0 : Math.max(0, times.end[index] - times.start[index]);
  }
}

// Rows in preorder: siblings in the order in which either trace first began them.
export function compareTrees(a: Tree, timesA: Times, b: Tree, timesB: Times): Difference[] {
  const root: Node = { depth: -1, service: '', name: '', a: { spans: 0, errors: 0, total: 0 }, b: { spans: 0, errors: 0, total: 0 }, size: 1, children: new Map(), firstStart: 0 };
  add(root, a, timesA, 'a');
  add(root, b, timesB, 'b');
  const rows: Difference[] = [];
  const stack: Node[] = [];
  const push = (node: Node) => {
    const children = [...node.children.values()].sort((one, other) => other.firstStart - one.firstStart);
    for (const child of children) stack.push(child);
  };
  push(root);
  const open: Node[] = [];
  while (stack.length) {
    const node = stack.pop() as Node;
    while (open.length && open[open.length - 1].depth >= node.depth) open.pop();
    for (const above of open) above.size += 1;
    open.push(node);
    rows.push(node);
    push(node);
  }
  return rows;
}

export type Change = 'same' | 'only-a' | 'only-b' | 'more' | 'fewer' | 'slower' | 'faster';

// What a person should look at first: presence, then counts, then time. A fifth more or less, and at least 1 ms, counts.
export function changeOf(row: Difference): Change {
  if (row.b.spans === 0) return 'only-a';
  if (row.a.spans === 0) return 'only-b';
  if (row.a.spans !== row.b.spans) return row.b.spans > row.a.spans ? 'more' : 'fewer';
  const delta = row.b.total - row.a.total;
  if (Math.abs(delta) < 1e6 || Math.abs(delta) < 0.2 * Math.max(row.a.total, row.b.total)) return 'same';
  return delta > 0 ? 'slower' : 'faster';
}
