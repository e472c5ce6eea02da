// The tree of a trace, from its spans: who hangs on whom, in which order, how deep; with what is wrong kept visible.
//
// Columns, not objects: a trace of 100,000 spans stays a few typed arrays. Indices 0..spans-1 are spans as they came;
// behind them stand *ghosts*, one for each parent that is named and absent. Rows of the waterfall are `order` (preorder,
// siblings by start). The rules of who is whose parent are those of the node's verification (src/trace/assess.h): a
// SERVER half that shares its id with a CLIENT half hangs on it; cycles are entered at their earliest span.
import { attribute, type OtlpSpan, type Resource, type Scope, type TracesData } from './otlp';
import { nanosSince } from './time';

export const GHOST = 1; // no span: a parent that is named and absent
export const ORPHAN = 2; // its parent is absent
export const CYCLE = 4; // one of its own ancestors
export const DUPLICATE = 8; // its id is also another span's
export const NEGATIVE = 16; // ends before it starts

export interface SpanSource {
  span: OtlpSpan;
  resource: Resource;
  scope: Scope;
}

export interface Tree {
  id: string;
  base: string; // Unix nanoseconds that start and end count from
  spans: number;
  nodes: number; // spans and ghosts
  source: SpanSource[]; // of spans
  spanId: string[]; // of nodes
  parentId: string[];
  name: string[];
  service: Int32Array; // index into services; -1: a ghost
  services: string[];
  host: Int32Array; // index into hosts; -1: a ghost
  hosts: string[];
  kind: Uint8Array;
  error: Uint8Array;
  start: Float64Array; // raw, nanoseconds after base
  end: Float64Array;
  parent: Int32Array; // -1: top
  firstChild: Int32Array; // -1: none
  nextSibling: Int32Array;
  flags: Uint8Array;
  order: Int32Array; // preorder of nodes
  place: Int32Array; // node → its position in order
  depth: Int32Array;
  size: Int32Array; // nodes of its subtree, itself included
  errorsBelow: Int32Array; // errors of its subtree, itself included
  maxDepth: number;
}

const noName = '(no service name)';
const zeroId = /^0*$/;

// As the node names hosts for its skew estimates (src/model/summary.h).
export function hostOf(resource: Resource, service: string): string {
  const attributes = resource.attributes;
  for (const key of ['host.name', 'k8s.pod.name', 'service.instance.id']) {
    const found = attribute(attributes, key);
    if (found) return found;
  }
  return service;
}

function sources(data: TracesData): SpanSource[] {
  const all: SpanSource[] = [];
  for (const resourceSpans of data.resourceSpans ?? []) {
    const resource = resourceSpans.resource ?? {};
    for (const scopeSpans of resourceSpans.scopeSpans ?? []) {
      const scope = scopeSpans.scope ?? {};
      for (const span of scopeSpans.spans ?? []) all.push({ span, resource, scope });
    }
  }
  return all;
}

// What a span's start counts from: the earliest plausible start (a trace may hold a zero time).
function baseOf(all: SpanSource[]): string {
  let base = '';
  const year2000 = '946684800000000000';
  const less = (a: string, b: string) => a.length < b.length || (a.length === b.length && a < b);
  for (const { span } of all) {
    const start = span.startTimeUnixNano ?? '0';
    if (!less(start, year2000) && (base === '' || less(start, base))) base = start;
  }
  return base || all[0]?.span.startTimeUnixNano || '0';
}

export function buildTree(id: string, data: TracesData): Tree {
  const source = sources(data);
  const spans = source.length;
  const base = baseOf(source);
  const present = new Map<string, number | number[]>();
  source.forEach(({ span }, index) => {
    const known = present.get(span.spanId);
    if (known === undefined) present.set(span.spanId, index);
    else if (typeof known === 'number') present.set(span.spanId, [known, index]);
    else known.push(index);
  });
  const ghostOf = new Map<string, number>();
  for (const { span } of source) {
    const parent = span.parentSpanId;
    if (parent && !zeroId.test(parent) && !present.has(parent) && !ghostOf.has(parent)) ghostOf.set(parent, spans + ghostOf.size);
  }
  const nodes = spans + ghostOf.size;
  const tree: Tree = {
    id,
    base,
    spans,
    nodes,
    source,
    spanId: new Array(nodes),
    parentId: new Array(nodes).fill(''),
    name: new Array(nodes),
    service: new Int32Array(nodes).fill(-1),
    services: [],
    host: new Int32Array(nodes).fill(-1),
    hosts: [],
    kind: new Uint8Array(nodes),
    error: new Uint8Array(nodes),
    start: new Float64Array(nodes),
    end: new Float64Array(nodes),
    parent: new Int32Array(nodes).fill(-1),
    firstChild: new Int32Array(nodes).fill(-1),
    nextSibling: new Int32Array(nodes).fill(-1),
    flags: new Uint8Array(nodes),
    order: new Int32Array(nodes),
    place: new Int32Array(nodes).fill(-1),
    depth: new Int32Array(nodes),
    size: new Int32Array(nodes).fill(1),
    errorsBelow: new Int32Array(nodes),
    maxDepth: 0,
  };
  fill(tree);
  link(tree, present, ghostOf);
  const tops = chain(tree);
  walk(tree, tops);
  return tree;
}

function fill(tree: Tree): void {
  const serviceIndex = new Map<string, number>();
  const hostIndex = new Map<string, number>();
  const intern = (index: Map<string, number>, names: string[], name: string) => {
    let at = index.get(name);
    if (at === undefined) {
      at = names.length;
      names.push(name);
      index.set(name, at);
    }
    return at;
  };
  const ofResource = new Map<Resource, [number, number]>();
  tree.source.forEach(({ span, resource }, i) => {
    let pair = ofResource.get(resource);
    if (!pair) {
      const service = attribute(resource.attributes, 'service.name') || noName;
      pair = [intern(serviceIndex, tree.services, service), intern(hostIndex, tree.hosts, hostOf(resource, service))];
      ofResource.set(resource, pair);
    }
    [tree.service[i], tree.host[i]] = pair;
    tree.spanId[i] = span.spanId;
    tree.parentId[i] = span.parentSpanId ?? '';
    tree.name[i] = span.name ?? '';
    tree.kind[i] = span.kind ?? 0;
    tree.error[i] = span.status?.code === 2 ? 1 : 0;
    tree.start[i] = nanosSince(span.startTimeUnixNano ?? '0', tree.base);
    tree.end[i] = nanosSince(span.endTimeUnixNano ?? '0', tree.base);
    if (tree.end[i] < tree.start[i]) tree.flags[i] |= NEGATIVE;
  });
}

const client = 3;
const server = 2;

function link(tree: Tree, present: Map<string, number | number[]>, ghostOf: Map<string, number>): void {
  for (let i = 0; i < tree.spans; i++) {
    const same = present.get(tree.spanId[i]);
    if (typeof same === 'object') {
      const caller = tree.kind[i] === server ? same.find((j) => tree.kind[j] === client) : undefined;
      if (caller !== undefined) {
        tree.parent[i] = caller;
        continue;
      }
      if (!same.some((j) => j !== i && tree.kind[j] === server && tree.kind[i] === client)) tree.flags[i] |= DUPLICATE;
    }
    const named = tree.parentId[i];
    if (!named || zeroId.test(named)) continue;
    if (named === tree.spanId[i]) {
      tree.flags[i] |= CYCLE;
      continue;
    }
    const ghost = ghostOf.get(named);
    if (ghost !== undefined) {
      tree.parent[i] = ghost;
      tree.flags[i] |= ORPHAN;
      continue;
    }
    const holders = present.get(named) as number | number[];
    if (typeof holders === 'number') {
      tree.parent[i] = holders;
      continue;
    }
    const asServer = holders.find((j) => tree.kind[j] === server);
    const asClient = holders.find((j) => tree.kind[j] === client);
    if (asServer !== undefined && asClient !== undefined) {
      tree.parent[i] = tree.service[i] === tree.service[asClient] && tree.service[i] !== tree.service[asServer] ? asClient : asServer;
    } else {
      tree.parent[i] = holders[0];
    }
  }
  for (const [id, ghost] of ghostOf) {
    tree.spanId[ghost] = id;
    tree.name[ghost] = '';
    tree.flags[ghost] = GHOST;
    tree.start[ghost] = Infinity;
    tree.end[ghost] = -Infinity;
  }
  // A ghost spans what hangs on it: all that is known of it.
  for (let i = 0; i < tree.spans; i++) {
    const parent = tree.parent[i];
    if (parent < tree.spans) continue;
    tree.start[parent] = Math.min(tree.start[parent], tree.start[i]);
    tree.end[parent] = Math.max(tree.end[parent], tree.end[i], tree.start[i]);
  }
}

// Breaks cycles where they are entered, then hangs children on parents in order of start. Returns the tops.
function chain(tree: Tree): number[] {
  const { nodes, start, parent } = tree;
  const sorted = Array.from({ length: nodes }, (_, i) => i);
  const byId = tree.spanId;
  sorted.sort((a, b) => start[a] - start[b] || (byId[a] < byId[b] ? -1 : byId[a] > byId[b] ? 1 : a - b));
  // 0: not seen, else: seen on the walk of that number
  const seen = new Int32Array(nodes);
  let walkNumber = 0;
  for (const from of sorted) {
    if (seen[from] !== 0) continue;
    walkNumber += 1;
    let at = from;
    while (at !== -1 && seen[at] === 0) {
      seen[at] = walkNumber;
      at = parent[at];
    }
    if (at !== -1 && seen[at] === walkNumber) {
      let entry = at;
      let member = at;
      do {
        tree.flags[member] |= CYCLE;
        if (start[member] < start[entry]) entry = member;
        member = parent[member];
      } while (member !== at);
      parent[entry] = -1;
    }
  }
  const tops: number[] = [];
  const last = new Int32Array(nodes).fill(-1);
  for (const i of sorted) {
    const up = parent[i];
    if (up === -1) {
      tops.push(i);
    } else if (last[up] === -1) {
      tree.firstChild[up] = i;
      last[up] = i;
    } else {
      tree.nextSibling[last[up]] = i;
      last[up] = i;
    }
  }
  return tops;
}

function walk(tree: Tree, tops: number[]): void {
  let at = 0;
  for (const top of tops) {
    let node = top;
    let depth = 0;
    for (;;) {
      tree.order[at] = node;
      tree.place[node] = at++;
      tree.depth[node] = depth;
      if (depth > tree.maxDepth) tree.maxDepth = depth;
      if (tree.firstChild[node] !== -1) {
        node = tree.firstChild[node];
        depth += 1;
        continue;
      }
      while (node !== top && tree.nextSibling[node] === -1) {
        node = tree.parent[node];
        depth -= 1;
      }
      if (node === top) break;
      node = tree.nextSibling[node];
    }
  }
  for (let i = tree.nodes - 1; i >= 0; i--) {
    const node = tree.order[i];
    tree.errorsBelow[node] += tree.error[node];
    const up = tree.parent[node];
    if (up !== -1) {
      tree.size[up] += tree.size[node];
      tree.errorsBelow[up] += tree.errorsBelow[node];
    }
  }
}

export function* childrenOf(tree: Tree, node: number): Generator<number> {
  for (let child = tree.firstChild[node]; child !== -1; child = tree.nextSibling[child]) yield child;
}

// The rows to show: preorder without what is collapsed, within the subtree of `focus` (-1: all).
export function visibleRows(tree: Tree, collapsed: ReadonlySet<number>, focus: number): Int32Array {
  const first = focus === -1 ? 0 : tree.place[focus];
  const end = focus === -1 ? tree.nodes : first + tree.size[focus];
  if (collapsed.size === 0) return tree.order.subarray(first, end);
  const rows = new Int32Array(end - first);
  let kept = 0;
  for (let at = first; at < end; ) {
    const node = tree.order[at];
    rows[kept++] = node;
    at += collapsed.has(node) ? tree.size[node] : 1;
  }
  return rows.subarray(0, kept);
}

// The times on one clock: raw ones, or with each host's offset added.
export interface Times {
  start: Float64Array;
  end: Float64Array;
  from: number; // the extent
  to: number;
}

export interface SkewEstimate {
  host: string;
  reference: string;
  offsetNano: string;
  boundNano: string;
  edges: number;
}

// Offsets lead from host to reference, and from there on: a chain is followed, each host once.
export function offsetsOf(tree: Tree, skew: SkewEstimate[]): Float64Array {
  const by = new Map(skew.map((one) => [one.host, one]));
  return Float64Array.from(tree.hosts, (host) => {
    let offset = 0;
    const met = new Set<string>();
    for (let one = by.get(host); one && !met.has(one.host); one = by.get(one.reference)) {
      met.add(one.host);
      offset += Number(one.offsetNano);
    }
    return offset;
  });
}

export function timesOf(tree: Tree, offsets?: Float64Array): Times {
  let start = tree.start;
  let end = tree.end;
  if (offsets) {
    start = tree.start.slice();
    end = tree.end.slice();
    for (let i = 0; i < tree.spans; i++) {
      const offset = offsets[tree.host[i]];
      start[i] += offset;
      end[i] += offset;
    }
    for (let ghost = tree.spans; ghost < tree.nodes; ghost++) {
      start[ghost] = Infinity;
      end[ghost] = -Infinity;
      for (const child of childrenOf(tree, ghost)) {
        start[ghost] = Math.min(start[ghost], start[child]);
        end[ghost] = Math.max(end[ghost], end[child], start[child]);
      }
    }
  }
  // Times more than a day from the median (zero times, broken clocks) do not stretch the axis.
  const starts = Float64Array.from(start.subarray(0, tree.spans)).sort();
  const median = starts.length ? starts[starts.length >> 1] : 0;
  const day = 86400e9;
  let from = Infinity;
  let to = -Infinity;
  for (let i = 0; i < tree.spans; i++) {
    if (Math.abs(start[i] - median) > day) continue;
    from = Math.min(from, start[i]);
    to = Math.max(to, start[i], Math.abs(end[i] - median) > day ? start[i] : end[i]);
  }
  if (!(from < Infinity)) [from, to] = [0, 1];
  return { start, end, from, to: to > from ? to : from + 1 };
}
