import { describe, expect, it } from 'vitest';
import { random, span, traces } from './testdata';
import { buildTree, CYCLE, DUPLICATE, GHOST, NEGATIVE, offsetsOf, ORPHAN, timesOf, visibleRows, type Tree } from './tree';

const rows = (tree: Tree) => [...tree.order].map((node) => `${' '.repeat(tree.depth[node])}${tree.spanId[node]}`);

describe('buildTree', () => {
  it('orders children by start and counts what is below', () => {
    const tree = buildTree('t', traces(span('c', 'a', 's', 5, 6), span('a', '', 's', 0, 10), span('b', 'a', 's', 1, 4, { status: { code: 2 } }), span('d', 'b', 's', 2, 3, { status: { code: 2 } })));
    expect(rows(tree)).toEqual(['a', ' b', '  d', ' c']);
    const a = tree.spanId.indexOf('a');
    expect([tree.size[a], tree.errorsBelow[a], tree.maxDepth]).toEqual([4, 2, 2]);
  });

  it('shows an absent parent as a ghost over the time of its children', () => {
    const tree = buildTree('t', traces(span('a', '', 's', 0, 10), span('x', 'gone', 's', 3, 4), span('y', 'gone', 's', 5, 9)));
    expect(rows(tree)).toEqual(['a', 'gone', ' x', ' y']);
    const ghost = tree.spanId.indexOf('gone');
    expect(tree.flags[ghost]).toBe(GHOST);
    expect(tree.flags[tree.spanId.indexOf('x')]).toBe(ORPHAN);
    expect([tree.start[ghost], tree.end[ghost]]).toEqual([3e6, 9e6]);
  });

  it('enters a cycle at its earliest span, and shows each span once', () => {
    const tree = buildTree('t', traces(span('a', '', 's', 0, 1), span('q', 'p', 's', 4, 5), span('p', 'r', 's', 3, 5), span('r', 'q', 's', 6, 7), span('below', 'r', 's', 8, 9)));
    expect(rows(tree)).toEqual(['a', 'p', ' q', '  r', '   below']);
    for (const id of ['p', 'q', 'r']) expect(tree.flags[tree.spanId.indexOf(id)]).toBe(CYCLE);
    expect(tree.flags[tree.spanId.indexOf('below')]).toBe(0);
  });

  it('takes a span that is its own parent as a top', () => {
    const tree = buildTree('t', traces(span('a', 'a', 's', 0, 1)));
    expect(rows(tree)).toEqual(['a']);
    expect(tree.flags[0]).toBe(CYCLE);
  });

  it('hangs the SERVER half of a shared id on the CLIENT half, and children where they belong', () => {
    const tree = buildTree('t', traces(span('a', '', 'web', 0, 10, { kind: 2 }), span('b', 'a', 'web', 1, 9, { kind: 3 }), span('b', 'a', 'db', 2, 8, { kind: 2 }), span('c', 'b', 'db', 3, 4), span('d', 'b', 'web', 3, 4)));
    const described = [...tree.order].map((node) => `${tree.depth[node]} ${tree.services[tree.service[node]]} ${tree.spanId[node]}`);
    expect(described).toEqual(['0 web a', '1 web b', '2 db b', '3 db c', '2 web d']);
    expect([...tree.flags].some((flags) => flags & DUPLICATE)).toBe(false);
  });

  it('marks repeated ids and spans that end before they start', () => {
    const tree = buildTree('t', traces(span('a', '', 's', 0, 10), span('b', 'a', 's', 5, 4), span('b', 'a', 's', 6, 7)));
    expect(tree.flags[1]).toBe(DUPLICATE | NEGATIVE);
    expect(tree.flags[2]).toBe(DUPLICATE);
  });

  it('survives an empty trace, and a zero time beside plausible ones', () => {
    expect(buildTree('t', {}).nodes).toBe(0);
    const tree = buildTree('t', traces(span('a', '', 's', 0, 10), span('z', 'a', 's', 0, 0, { startTimeUnixNano: '0', endTimeUnixNano: '0' })));
    const times = timesOf(tree);
    expect([times.from, times.to]).toEqual([0, 10e6]);
  });

  it('keeps every span exactly once, whatever parents are named', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const next = random(seed);
      const count = 1 + Math.floor(next() * 40);
      const made = Array.from({ length: count }, () => {
        const id = `n${Math.floor(next() * count)}`;
        const parent = next() < 0.1 ? '' : `n${Math.floor(next() * count * 1.2)}`;
        const start = Math.floor(next() * 100);
        return span(id, parent, `s${Math.floor(next() * 3)}`, start, start + next() * 20 - 2, { kind: Math.floor(next() * 6) });
      });
      const tree = buildTree('t', traces(...made));
      expect([...tree.order].sort((a, b) => a - b), `seed ${seed}`).toEqual(Array.from({ length: tree.nodes }, (_, i) => i));
      tree.order.forEach((node, place) => {
        expect(tree.place[node]).toBe(place);
        const up = tree.parent[node];
        expect(tree.depth[node], `seed ${seed}`).toBe(up === -1 ? 0 : tree.depth[up] + 1);
        if (up !== -1) expect(tree.place[up]).toBeLessThan(place);
      });
    }
  });

  it('takes a chain of 50,000 spans', () => {
    const made = Array.from({ length: 50_000 }, (_, i) => span(`n${i}`, i ? `n${i - 1}` : '', 's', i, 60_000));
    const tree = buildTree('t', traces(...made));
    expect([tree.maxDepth, tree.size[0]]).toEqual([49_999, 50_000]);
  });
});

describe('visibleRows', () => {
  const tree = buildTree('t', traces(span('a', '', 's', 0, 10), span('b', 'a', 's', 1, 4), span('c', 'b', 's', 2, 3), span('d', 'a', 's', 5, 6)));
  const ids = (collapsed: number[], focus = -1) => [...visibleRows(tree, new Set(collapsed), focus)].map((node) => tree.spanId[node]).join('');
  it('leaves out what is collapsed, and what is outside the focus', () => {
    expect(ids([])).toBe('abcd');
    expect(ids([1])).toBe('abd');
    expect(ids([0])).toBe('a');
    expect(ids([], 1)).toBe('bc');
    expect(ids([1], 1)).toBe('b');
  });
});

describe('corrected times', () => {
  it('follow the offsets from host to host, and move ghosts with their children', () => {
    const tree = buildTree('t', traces(span('a', '', 'w', 0, 10, { host: 'h1' }), span('b', 'a', 'x', 1, 2, { host: 'h2' }), span('c', 'gone', 'y', 3, 4, { host: 'h3' })));
    const skew = [
      { host: 'h2', reference: 'h1', offsetNano: '1000000', boundNano: '5', edges: 1 },
      { host: 'h3', reference: 'h2', offsetNano: '-500000', boundNano: '5', edges: 1 },
    ];
    const times = timesOf(tree, offsetsOf(tree, skew));
    const at = (id: string) => times.start[tree.spanId.indexOf(id)];
    expect([at('a'), at('b'), at('c'), at('gone')]).toEqual([0, 2e6, 3.5e6, 3.5e6]);
    expect(tree.start[1]).toBe(1e6);
  });
  it('do not run in circles when hosts refer to each other', () => {
    const tree = buildTree('t', traces(span('a', '', 'w', 0, 10, { host: 'h1' })));
    const skew = ['h1', 'h2'].map((host, i) => ({ host, reference: i ? 'h1' : 'h2', offsetNano: '10', boundNano: '0', edges: 1 }));
    expect(offsetsOf(tree, skew)[0]).toBe(20);
  });
});
