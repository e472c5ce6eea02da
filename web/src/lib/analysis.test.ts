import { describe, expect, it } from 'vitest';
import { criticalPath, flameGraph, selfTime, statistics } from './analysis';
import { changeOf, compareTrees } from './compare';
import { lateness } from './lateness';
import { matchingNodes } from './match';
import { random, span, traces } from './testdata';
import { buildTree, timesOf, type Tree } from './tree';

const made = (...spans: Parameters<typeof traces>) => {
  const tree = buildTree('t', traces(...spans));
  return { tree, times: timesOf(tree) };
};
const pieces = (tree: Tree, path: ReturnType<typeof criticalPath>) =>
  Object.fromEntries(tree.spanId.map((id, node) => [id, Array.from({ length: path.first[node + 1] - path.first[node] }, (_, i) => [path.from[path.first[node] + i] / 1e6, path.to[path.first[node] + i] / 1e6])]));

describe('criticalPath', () => {
  it('is what the end was waiting for: the child that ended last, then its predecessor', () => {
    const { tree, times } = made(span('a', '', 's', 0, 10), span('b', 'a', 's', 1, 4), span('c', 'a', 's', 2, 8), span('d', 'a', 's', 0.5, 1.5));
    expect(pieces(tree, criticalPath(tree, times, 0))).toEqual({ a: [[0, 0.5], [1.5, 2], [8, 10]], b: [], c: [[2, 8]], d: [[0.5, 1.5]] });
  });
  it('leaves out work that outlives its parent', () => {
    const { tree, times } = made(span('a', '', 's', 0, 10), span('b', 'a', 's', 5, 20));
    expect(pieces(tree, criticalPath(tree, times, 0))).toEqual({ a: [[0, 10]], b: [] });
  });
  it('covers the time of its top once, whatever the tree', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const next = random(seed);
      const spans = [span('n0', '', 's', 0, 100)];
      for (let i = 1; i < 30; i++) {
        const start = next() * 90;
        spans.push(span(`n${i}`, `n${Math.floor(next() * i)}`, 's', start, start + next() * 20));
      }
      const { tree, times } = made(...spans);
      expect(criticalPath(tree, times, 0).own, `seed ${seed}`).toBeCloseTo(100e6, 0);
    }
  });
});

describe('statistics', () => {
  it('count spans, errors and time by operation, and self time without overlap of children', () => {
    const { tree, times } = made(span('a', '', 'web', 0, 10), span('b', 'a', 'db', 1, 5, { name: 'q', status: { code: 2 } }), span('c', 'a', 'db', 3, 7, { name: 'q' }));
    expect(selfTime(tree, times, 0)).toBe(4e6);
    const rows = statistics(tree, times, 'operation');
    expect(rows.map(({ service, operation, spans, errors, total, self, p50, max }) => [service, operation, spans, errors, total / 1e6, self / 1e6, p50 / 1e6, max / 1e6])).toEqual([
      ['db', 'q', 2, 1, 8, 8, 4, 4],
      ['web', 'op-a', 1, 0, 10, 4, 10, 10],
    ]);
    expect(statistics(tree, times, 'service')).toHaveLength(2);
  });
});

describe('flameGraph', () => {
  it('puts spans of one path together, and every frame within its parent', () => {
    const { tree, times } = made(span('a', '', 's', 0, 10), span('b', 'a', 's', 1, 3, { name: 'q' }), span('c', 'a', 's', 4, 6, { name: 'q' }), span('d', 'lost', 's', 7, 8));
    const frames = flameGraph(tree, times);
    expect(frames.map(({ name, spans }) => [name, spans])).toEqual([['op-a', 1], ['q', 2], ['absent parents', 0], ['op-d', 1]]);
    for (const frame of frames) {
      if (frame.parent === -1) continue;
      const up = frames[frame.parent];
      expect(frame.x).toBeGreaterThanOrEqual(up.x - 1e-9);
      expect(frame.x + frame.width).toBeLessThanOrEqual(up.x + up.width + 1e-9);
    }
    expect(frames.filter((frame) => frame.parent === -1).reduce((sum, frame) => sum + frame.width, 0)).toBeCloseTo(1);
  });
});

describe('compareTrees', () => {
  it('tells what is new, gone, more often and slower', () => {
    const a = made(span('a', '', 'web', 0, 10, { name: 'GET' }), span('b', 'a', 'db', 1, 2, { name: 'q' }), span('c', 'a', 'cache', 3, 4, { name: 'get' }));
    const b = made(span('a', '', 'web', 0, 50, { name: 'GET' }), span('b', 'a', 'db', 1, 2, { name: 'q' }), span('d', 'a', 'db', 2, 3, { name: 'q' }), span('e', 'a', 'mail', 5, 6, { name: 'send' }));
    const rows = compareTrees(a.tree, a.times, b.tree, b.times);
    expect(rows.map((row) => [row.depth, row.name, changeOf(row), row.size])).toEqual([
      [0, 'GET', 'slower', 4],
      [1, 'q', 'more', 1],
      [1, 'get', 'only-a', 1],
      [1, 'send', 'only-b', 1],
    ]);
  });
  it('finds no difference between a trace and itself', () => {
    const { tree, times } = made(span('a', '', 's', 0, 10), span('b', 'a', 's', 1, 2), span('c', 'lost', 's', 1, 2));
    expect(compareTrees(tree, times, tree, times).every((row) => changeOf(row) === 'same')).toBe(true);
  });
});

describe('matchingNodes', () => {
  const { tree } = made(span('a1', '', 'web', 0, 10, { attributes: [{ key: 'http.status_code', value: { intValue: '503' } }] }), span('b2', 'a1', 'db', 1, 2, { name: 'SELECT Orders' }), span('c3', 'none', 'db', 1, 2));
  const found = (text: string) => matchingNodes(tree, text)?.length;
  it('looks at names, services, ids, attributes; all words must be there', () => {
    expect(found('orders')).toBe(1);
    expect(found('db select')).toBe(1);
    expect(found('status_code')).toBe(1);
    expect(found('status_code=503')).toBe(1);
    expect(found('a1')).toBe(1);
    expect(found('absent')).toBe(1);
    expect(found('nowhere')).toBe(0);
    expect(matchingNodes(tree, '  ')).toBeUndefined();
  });
});

describe('lateness', () => {
  const at = (ms: number) => `${1_760_000_000_000 + ms}000000`;
  it('puts verdicts on a logarithmic line from the start of the trace to the last one', () => {
    const marks = lateness(at(0), [
      { decidedUnixNano: at(5000), spans: 3, lateSpans: 0 },
      { decidedUnixNano: at(60_000), spans: 5, lateSpans: 2 },
      { decidedUnixNano: at(86_400_000), spans: 6, lateSpans: 3 },
    ]);
    expect(marks.map((one) => [one.afterMs, one.spans, one.late])).toEqual([[5000, 3, 0], [60_000, 5, 2], [86_400_000, 6, 1]]);
    expect(marks[2].share).toBe(1);
    expect(marks[0].share).toBeGreaterThan(0.2);
    expect(marks[1].share).toBeGreaterThan(marks[0].share);
  });
  it('stands clocks that are ahead, and one verdict at the very start', () => {
    expect(lateness(at(9000), [{ decidedUnixNano: at(5000), spans: 1, lateSpans: 0 }])[0]).toEqual({ afterMs: 0, share: 0, spans: 1, late: 0 });
    expect(lateness(at(0), [])).toEqual([]);
  });
});
