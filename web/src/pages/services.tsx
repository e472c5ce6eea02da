// What calls what: the graph of services, laid out, to zoom and filter; and the same as a table.
import dagre from '@dagrejs/dagre';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api, type Covered } from '../api';
import { useLoad, useSettled } from '../hooks';
import { colourOf } from '../lib/colour';
import { busiestEdges, completeGraph, filterGraph, type Figures, type Graph, type GraphNode } from '../lib/graph';
import { clip } from '../lib/otlp';
import { formatRoute } from '../lib/route';
import { count, duration, millisOf, moment, percent, plural } from '../lib/time';
import { go, route, setParams, tenant, zone } from '../state';
import { apiRange, RangePicker, rangeOf } from '../parts/range';
import { Problem, Service } from '../parts/common';
import { SortTable, type Column } from '../parts/table';

const mostNodes = 120;
const edgesANode = 2; // that are drawn, on average; a graph with more is a thicket
const leastScale = 0.3; // of the whole graph at once: below it nothing can be read, and one pans instead
const nodeWidth = 178;
const nodeHeight = 62;

interface Placed {
  width: number;
  height: number;
  nodes: { node: GraphNode; x: number; y: number }[];
  edges: { key: string; from: string; to: string; path: string; figures: Figures; x: number; y: number }[];
}

// Names of services are strangers' text, and may be empty or "__proto__": the layout gets names of its own.
function layOut(graph: Graph): Placed {
  const id = new Map(graph.nodes.map((node, index) => [node.service, `n${index}`]));
  const name = (service: string) => id.get(service) as string;
  const g = new dagre.graphlib.Graph();
  g.setGraph({ rankdir: 'LR', nodesep: 22, ranksep: 92, marginx: 16, marginy: 16 });
  g.setDefaultEdgeLabel(() => ({}));
  for (const node of graph.nodes) g.setNode(name(node.service), { width: nodeWidth, height: nodeHeight });
  for (const edge of graph.edges) if (edge.from !== edge.to) g.setEdge(name(edge.from), name(edge.to), { width: 64, height: 26, labelpos: 'c' });
  dagre.layout(g);
  const { width = 0, height = 0 } = g.graph();
  return {
    width,
    height,
    nodes: graph.nodes.map((node) => {
      const { x, y } = g.node(name(node.service));
      return { node, x: x - nodeWidth / 2, y: y - nodeHeight / 2 };
    }),
    edges: graph.edges
      .filter((edge) => edge.from !== edge.to)
      .map((edge) => {
        const label = g.edge(name(edge.from), name(edge.to));
        return { key: `${edge.from}\u0000${edge.to}`, from: edge.from, to: edge.to, path: curve(label.points), figures: edge, x: label.x ?? 0, y: label.y ?? 0 };
      }),
  };
}

// Through the middles of the bends, so that a line turns softly.
function curve(points: { x: number; y: number }[]): string {
  const [first, ...rest] = points;
  let path = `M${first.x.toFixed(1)},${first.y.toFixed(1)}`;
  for (let i = 0; i < rest.length - 1; i++) {
    const middle = { x: (rest[i].x + rest[i + 1].x) / 2, y: (rest[i].y + rest[i + 1].y) / 2 };
    const end = i === rest.length - 2 ? rest[i + 1] : middle;
    path += `Q${rest[i].x.toFixed(1)},${rest[i].y.toFixed(1)} ${end.x.toFixed(1)},${end.y.toFixed(1)}`;
  }
  return path;
}

export function rate(calls: number, seconds: number): string {
  const each = calls / Math.max(1e-9, seconds);
  if (each >= 1) return `${each >= 100 ? count(Math.round(each)) : each.toPrecision(2).replace(/\.0$/, '')}/s`;
  const minute = each * 60;
  if (minute >= 1) return `${minute.toPrecision(2).replace(/\.0$/, '')}/min`;
  const hour = minute * 60;
  return hour >= 1 ? `${hour.toPrecision(2).replace(/\.0$/, '')}/h` : plural(calls, 'call');
}

export function secondsOf(covered: Covered): number {
  return Math.max(1, (millisOf(covered.toUnixNano) - millisOf(covered.coveredFromUnixNano)) / 1e3);
}

export function Coverage({ covered }: { covered: Covered }) {
  const part = covered.coveredFromUnixNano !== covered.fromUnixNano;
  return (
    <p class="quiet coverage">
      Counted over {plural(covered.traces, 'trace')}
      {part ? `: the newest of this range, which reach back to ${moment(millisOf(covered.coveredFromUnixNano), zone.value, false)}` : ', all of this range'}
      {covered.truncated ? '; the lists hold the busiest only' : ''}.
    </p>
  );
}

export function ServicesPage() {
  const { params } = route.value;
  // A day, because a graph of calls is wanted for what is usual.
  const range = params.since || params.start || params.end ? rangeOf(params) : rangeOf({ since: '24h' });
  const asked = range.since === 'all' ? { start: '0' } : apiRange(range);
  const found = useLoad(`services ${JSON.stringify(asked)} ${tenant.value}`, (signal) => api.services(asked, signal));
  const filter = params.filter ?? '';
  // Of more services than an answer holds those with this name are asked for; they are counted over traces of their own.
  const partial = found.data !== undefined && (found.data.truncated || found.data.coveredFromUnixNano !== found.data.fromUnixNano);
  const wanted = useSettled(filter.trim(), 250);
  const fitting = useLoad(partial && wanted ? `services ${JSON.stringify(asked)} ${wanted} ${tenant.value}` : undefined, (signal) => api.services({ ...asked, filter: wanted }, signal));
  const answer = partial && filter.trim() && wanted ? (fitting.data ?? found.data) : found.data;
  const graph = useMemo(() => answer && completeGraph(answer.services, answer.edges), [answer]);
  const shown = useMemo(() => graph && filterGraph(graph, filter, 1, mostNodes), [graph, filter]);
  const drawn = useMemo(() => shown && { nodes: shown.nodes, edges: busiestEdges(shown.edges, Math.max(40, shown.nodes.length * edgesANode)) }, [shown]);
  const seconds = answer ? secondsOf(answer) : 1;
  const columns: Column<GraphNode>[] = [
    { name: 'service', value: (row) => row.service, show: (row) => <a href={formatRoute('service', row.service, rangeParams(params))}><Service name={row.service} /></a> },
    { name: 'rate', number: true, value: (row) => row.calls, show: (row) => rate(row.calls, seconds) },
    { name: 'calls', number: true, value: (row) => row.calls, show: (row) => count(row.calls) },
    { name: 'errors', number: true, value: (row) => row.errors / Math.max(1, row.calls), show: (row) => (row.errors ? <b class="bad">▲ {percent(row.errors / row.calls)}</b> : '') },
    ...(['p50', 'p95', 'p99'] as const).map((q): Column<GraphNode> => ({ name: q, number: true, value: (row) => Number(row[`${q}Nano`]), show: (row) => duration(Number(row[`${q}Nano`])) })),
  ];
  return (
    <div class="services pad">
      <div class="page-head">
        <h1>Services</h1>
        <input type="search" aria-label="Filter services" placeholder="a service and its neighbours" value={filter} onInput={(event) => setParams({ filter: event.currentTarget.value })} />
        <RangePicker range={range} onChange={({ since, start, end }) => setParams({ since, start, end }, false)} />
      </div>
      {found.error && <Problem error={found.error} again={found.again} />}
      {fitting.error && <Problem error={fitting.error} again={fitting.again} />}
      {!found.data && !found.error && <p class="loading">Counting calls…</p>}
      {answer && shown && drawn && (
        <>
          <Coverage covered={answer} />
          {shown.nodes.length === 0 ? (
            <p class="empty">{fitting.loading && partial && filter ? 'Counting calls…' : filter ? 'No service of that name called or was called.' : 'No calls in this time range.'}</p>
          ) : (
            <>
              {shown.left > 0 && <p class="quiet">The graph shows the {mostNodes} busiest services; {count(shown.left)} more are in the table. Filter to see one with its neighbours.</p>}
              {drawn.edges.length < shown.edges.length && <p class="quiet">Drawn are the busiest {count(drawn.edges.length)} of {count(shown.edges.length)} kinds of calls. Filter to see those of one service; its page has all.</p>}
              <GraphView graph={drawn} seconds={seconds} params={params} />
              <SortTable label="Services" rows={shown.left ? (graph as Graph).nodes.filter((node) => node.service.toLowerCase().includes(filter.toLowerCase())) : shown.nodes} columns={columns} sort="calls" rowKey={(row) => row.service} />
            </>
          )}
        </>
      )}
    </div>
  );
}

export function rangeParams({ since, start, end }: Record<string, string>): Record<string, string> {
  return { since: since ?? '', start: start ?? '', end: end ?? '' };
}

function GraphView({ graph, seconds, params }: { graph: Graph; seconds: number; params: Record<string, string> }) {
  const placed = useMemo(() => layOut(graph), [graph]);
  const [view, setView] = useState({ x: 0, y: 0, scale: 1 });
  const [near, setNear] = useState('');
  const box = useRef<HTMLDivElement>(null);
  const drag = useRef<{ x: number; y: number; moved: boolean } | null>(null);
  const fit = () => {
    const element = box.current;
    if (!element) return;
    const scale = Math.max(leastScale, Math.min(1.15, element.clientWidth / placed.width, element.clientHeight / placed.height));
    const centred = (room: number, wanted: number) => Math.max(0, (room - wanted * scale) / 2);
    setView({ scale, x: centred(element.clientWidth, placed.width), y: centred(element.clientHeight, placed.height) });
  };
  useEffect(fit, [placed]);
  const zoomAt = (factor: number, x: number, y: number) =>
    setView((old) => {
      const scale = Math.max(0.08, Math.min(3, old.scale * factor));
      const by = scale / old.scale;
      return { scale, x: x - (x - old.x) * by, y: y - (y - old.y) * by };
    });
  const zoomMiddle = (factor: number) => box.current && zoomAt(factor, box.current.clientWidth / 2, box.current.clientHeight / 2);
  const busiest = Math.max(1, ...graph.edges.map((edge) => edge.calls));
  const touches = (edge: { from: string; to: string }) => near === '' || edge.from === near || edge.to === near;
  const neighbours = useMemo(() => new Set(graph.edges.filter((edge) => edge.from === near || edge.to === near).flatMap((edge) => [edge.from, edge.to])), [graph, near]);
  return (
    <div
      class="graph"
      ref={box}
      style={{ height: `${Math.max(260, Math.min(760, placed.height + 8))}px` }}
      onWheel={(event) => {
        if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return;
        event.preventDefault();
        const place = event.currentTarget.getBoundingClientRect();
        zoomAt(event.deltaY > 0 ? 0.87 : 1.15, event.clientX - place.left, event.clientY - place.top);
      }}
      onPointerDown={(event) => {
        if (event.button !== 0 || (event.target as Element).closest('.graph-tools')) return;
        drag.current = { x: event.clientX, y: event.clientY, moved: false };
      }}
      onPointerMove={(event) => {
        const from = drag.current;
        if (!from) return;
        const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
        if (!from.moved && Math.abs(dx) + Math.abs(dy) < 4) return;
        drag.current = { x: event.clientX, y: event.clientY, moved: true };
        setView((old) => ({ ...old, x: old.x + dx, y: old.y + dy }));
      }}
      onPointerUp={() => {
        setTimeout(() => (drag.current = null));
      }}
      onPointerLeave={() => (drag.current = null)}
      onClickCapture={(event) => {
        if (drag.current?.moved) event.preventDefault();
      }}
    >
      <svg width="100%" height="100%" role="group" aria-label={`${graph.nodes.length} services, ${graph.edges.length} kinds of calls; the table below tells the same`}>
        <defs>
          <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse" orient="auto">
            <path d="M0,0.500 L8,4 L0,7.500 z" class="arrow" />
          </marker>
        </defs>
        <g transform={`translate(${view.x},${view.y}) scale(${view.scale})`}>
          {placed.edges.map((edge) => {
            const share = edge.figures.errors / Math.max(1, edge.figures.calls);
            return (
              <g key={edge.key} class={`edge${touches(edge) ? '' : ' far'}${share > 0 ? ' failing' : ''}`}>
                <path d={edge.path} marker-end="url(#arrow)" style={{ strokeWidth: `${1 + 3 * Math.sqrt(edge.figures.calls / busiest)}px` }}>
                  <title>{`${edge.from} → ${edge.to}: ${count(edge.figures.calls)} calls, ${percent(share)} errors, p95 ${duration(Number(edge.figures.p95Nano))}`}</title>
                </path>
                <text x={edge.x} y={edge.y - 3}>
                  {rate(edge.figures.calls, seconds)}
                </text>
                <text x={edge.x} y={edge.y + 9} class={share > 0 ? 'bad' : 'second'}>
                  {share > 0 ? `▲ ${percent(share)}` : duration(Number(edge.figures.p95Nano))}
                </text>
              </g>
            );
          })}
          {placed.nodes.map(({ node, x, y }) => {
            const share = node.errors / Math.max(1, node.calls);
            return (
              <g key={node.service} transform={`translate(${x},${y})`}>
              <a
                href={formatRoute('service', node.service, rangeParams(params))}
                class={`node${near === '' || near === node.service || neighbours.has(node.service) ? '' : ' far'}`}
                aria-label={`${node.service}: ${rate(node.calls, seconds)}, ${percent(share)} errors, p95 ${duration(Number(node.p95Nano))}`}
                onMouseEnter={() => setNear(node.service)}
                onMouseLeave={() => setNear('')}
                onFocus={() => setNear(node.service)}
                onBlur={() => setNear('')}
                onClick={(event) => {
                  event.preventDefault();
                  if (!drag.current?.moved) go('service', node.service, rangeParams(params));
                }}
              >
                <rect width={nodeWidth} height={nodeHeight} rx="7" />
                <rect width="5" height={nodeHeight - 14} x="7" y="7" rx="2.5" class={`fill-c${colourOf(node.service)}`} />
                <text x="20" y="22" class="title">
                  {clip(node.service || '(no service name)', 22)}
                </text>
                <text x="20" y="38">{node.calls ? `${rate(node.calls, seconds)} · p95 ${duration(Number(node.p95Nano))}` : 'calls only'}</text>
                <text x="20" y="53" class={share > 0 ? 'bad' : 'second'}>
                  {node.calls === 0 ? '' : share > 0 ? `▲ ${percent(share)} errors` : 'no errors'}
                </text>
                <rect x={nodeWidth - 58} y={nodeHeight - 13} width="48" height="4" rx="2" class="gauge" />
                {share > 0 && <rect x={nodeWidth - 58} y={nodeHeight - 13} width={Math.max(2, 48 * share)} height="4" rx="2" class="gauge-bad" />}
              </a>
              </g>
            );
          })}
        </g>
      </svg>
      <div class="graph-tools">
        <button type="button" class="round" aria-label="Closer" title="Closer (Ctrl and wheel)" onClick={() => zoomMiddle(1.3)}>
          +
        </button>
        <button type="button" class="round" aria-label="Wider" onClick={() => zoomMiddle(0.77)}>
          −
        </button>
        <button type="button" class="round" aria-label="All of it" onClick={fit}>
          ⤢
        </button>
      </div>
    </div>
  );
}
