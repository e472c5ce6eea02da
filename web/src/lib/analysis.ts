// What is computed over a tree: critical path, statistics, flame graph. Pure; linear, or a sort.
import { childrenOf, GHOST, type Times, type Tree } from './tree';

// The critical path: which span the end of the trace was waiting for, moment by moment. Walked backwards from a span's
// end: the child that ended last before that moment is what was waited for, then its predecessor, and so on (Zhang et
// al., CRISP, 2022). Pieces of a node stand together, in order of time.
export interface CriticalPath {
  first: Int32Array; // node → its first piece; pieces of a node end where those of the next begin (nodes + 1)
  from: Float64Array;
  to: Float64Array;
  own: number; // time covered by pieces
}

export function criticalPath(tree: Tree, times: Times, top: number): CriticalPath {
  const pieces: [number, number, number][] = [];
  const { start, end } = times;
  const pending: [number, number][] = top === -1 ? [] : [[top, end[top]]];
  while (pending.length) {
    const [node, until] = pending.pop() as [number, number];
    let cursor = Math.min(until, end[node]);
    const children = [...childrenOf(tree, node)].sort((a, b) => end[b] - end[a] || start[b] - start[a]);
    for (const child of children) {
      if (start[child] >= cursor || end[child] > cursor || start[child] < start[node]) continue;
      if (end[child] < cursor) pieces.push([node, end[child], cursor]);
      pending.push([child, end[child]]);
      cursor = start[child];
    }
    if (cursor > start[node]) pieces.push([node, start[node], cursor]);
  }
  pieces.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const path: CriticalPath = {
    first: new Int32Array(tree.nodes + 1),
    from: Float64Array.from(pieces, (one) => one[1]),
    to: Float64Array.from(pieces, (one) => one[2]),
    own: pieces.reduce((sum, one) => sum + one[2] - one[1], 0),
  };
  for (const [node] of pieces) path.first[node + 1] += 1;
  for (let i = 0; i < tree.nodes; i++) path.first[i + 1] += path.first[i];
  return path;
}

// Time in a span that no child covers.
export function selfTime(tree: Tree, times: Times, node: number): number {
  const { start, end } = times;
  let covered = 0;
  let cursor = start[node];
  for (const child of childrenOf(tree, node)) {
    const from = Math.max(start[child], cursor);
    const to = Math.min(end[child], end[node]);
    if (to > from) {
      covered += to - from;
      cursor = to;
    }
  }
  return Math.max(0, end[node] - start[node] - covered);
}

export interface StatRow {
  service: string;
  operation: string; // '' for a whole service
  spans: number;
  errors: number;
  total: number; // sum of durations
  self: number; // sum of self times
  p50: number;
  p95: number;
  max: number;
  first: number; // a node of it
}

export function statistics(tree: Tree, times: Times, by: 'service' | 'operation'): StatRow[] {
  const rows = new Map<string, StatRow & { durations: number[] }>();
  for (let node = 0; node < tree.spans; node++) {
    const service = tree.services[tree.service[node]];
    const operation = by === 'service' ? '' : tree.name[node];
    const key = `${tree.service[node]}\u0000${operation}`;
    let row = rows.get(key);
    if (!row) {
      row = { service, operation, spans: 0, errors: 0, total: 0, self: 0, p50: 0, p95: 0, max: 0, first: node, durations: [] };
      rows.set(key, row);
    }
    const duration = Math.max(0, times.end[node] - times.start[node]);
    row.spans += 1;
    row.errors += tree.error[node];
    row.total += duration;
    row.self += selfTime(tree, times, node);
    row.durations.push(duration);
  }
  return [...rows.values()]
    .map(({ durations, ...row }) => {
      durations.sort((a, b) => a - b);
      const at = (q: number) => durations[Math.max(0, Math.ceil(q * durations.length) - 1)];
      return { ...row, p50: at(0.5), p95: at(0.95), max: durations[durations.length - 1] };
    })
    .sort((a, b) => b.self - a.self || (a.service < b.service ? -1 : 1));
}

// Spans of one path of names count together, wherever they stand in time. A frame is as wide as the time in it: its own
// and that of its children, so that parallel children have room.
export interface Frame {
  parent: number; // -1: top
  depth: number;
  service: number; // -1: absent parents
  name: string;
  spans: number;
  errors: number;
  self: number;
  value: number; // self and below
  x: number; // 0..1 of the whole
  width: number;
  node: number; // one of its spans
}

export function flameGraph(tree: Tree, times: Times, mostDepth = 200): Frame[] {
  const frames: Frame[] = [];
  const children: Map<string, number>[] = [];
  const roots = new Map<string, number>();
  const frameOf = new Int32Array(tree.nodes);
  for (const node of tree.order) {
    const up = tree.parent[node] === -1 ? -1 : frameOf[tree.parent[node]];
    // Deeper than anybody reads, time counts to the last frame that is shown.
    if (up !== -1 && frames[up].depth >= mostDepth) {
      frameOf[node] = up;
    } else {
      const known = up === -1 ? roots : children[up];
      const ghost = (tree.flags[node] & GHOST) !== 0;
      const key = ghost ? '\u0000' : `${tree.service[node]}\u0000${tree.name[node]}`;
      let frame = known.get(key);
      if (frame === undefined) {
        frame = frames.length;
        known.set(key, frame);
        frames.push({ parent: up, depth: up === -1 ? 0 : frames[up].depth + 1, service: tree.service[node], name: ghost ? 'absent parents' : tree.name[node], spans: 0, errors: 0, self: 0, value: 0, x: 0, width: 0, node });
        children.push(new Map());
      }
      frameOf[node] = frame;
    }
    const frame = frames[frameOf[node]];
    if ((tree.flags[node] & GHOST) === 0) {
      frame.spans += 1;
      frame.errors += tree.error[node];
      frame.self += selfTime(tree, times, node);
    }
  }
  for (let i = frames.length - 1; i >= 0; i--) {
    frames[i].value += frames[i].self;
    if (frames[i].parent !== -1) frames[frames[i].parent].value += frames[i].value;
  }
  const widest = (ids: Iterable<number>) => [...ids].sort((a, b) => frames[b].value - frames[a].value || a - b);
  const whole = [...roots.values()].reduce((sum, id) => sum + frames[id].value, 0) || 1;
  const stack: [number, number][] = [];
  const lay = (ids: number[], x: number) => {
    let at = x;
    for (const id of ids) {
      stack.push([id, at]);
      at += frames[id].value / whole;
    }
  };
  lay(widest(roots.values()), 0);
  while (stack.length) {
    const [id, x] = stack.pop() as [number, number];
    frames[id].x = x;
    frames[id].width = frames[id].value / whole;
    lay(widest(children[id].values()), x);
  }
  return frames;
}
