// One trace: its verdict, and its spans as waterfall, flame graph or statistics. Selected span, view, clock, window,
// focus and search stand in the address.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api, type TraceAnswer } from '../api';
import { useKeys, useLoad } from '../hooks';
import { criticalPath } from '../lib/analysis';
import { matchingNodes } from '../lib/match';
import { clip } from '../lib/otlp';
import { formatRoute } from '../lib/route';
import { count, duration, millisOf, moment, plural } from '../lib/time';
import { buildTree, offsetsOf, timesOf, visibleRows, type Tree } from '../lib/tree';
import { copy, route, setParams, say, tenant, zone } from '../state';
import { CopyButton, Errors, Problem, rootTitle, StateBadge } from '../parts/common';
import { Details } from '../parts/details';
import { Flame } from '../parts/flame';
import { Statistics } from '../parts/statistics';
import { VerdictPanel } from '../parts/verdict';
import type { VirtualControl } from '../parts/virtual';
import { Waterfall, zoom } from '../parts/waterfall';

const none: ReadonlySet<number> = new Set();

interface Opened {
  answer: TraceAnswer;
  tree: Tree;
}

export function TracePage({ id }: { id: string }) {
  const opened = useLoad<Opened>(`${id} ${tenant.value}`, async (signal) => {
    const answer = await api.trace(id, signal);
    return { answer, tree: buildTree(answer.traceID, answer.trace) };
  });
  useEffect(() => {
    document.title = opened.data ? `${clip(rootTitle(opened.data.answer.summary), 80)} · Clew` : 'Trace · Clew';
  }, [opened.data]);
  if (opened.error && !opened.data) {
    return (
      <div class="pad">
        <h1>
          Trace <code>{id.slice(0, 32)}</code>
        </h1>
        <Problem error={opened.error} again={opened.again} />
        <p>
          <a href="#/search">To the search</a>
        </p>
      </div>
    );
  }
  if (!opened.data) return <p class="loading">Loading the trace…</p>;
  // What is closed is known by its place in the tree: another tree begins with all rows open.
  return <OpenTrace key={opened.data.tree.nodes} {...opened.data} reload={opened.again} reloading={opened.loading} />;
}

function OpenTrace({ answer, tree, reload, reloading }: Opened & { reload: () => void; reloading: boolean }) {
  const { params } = route.value;
  const id = answer.traceID;
  const { summary } = answer;
  const open = summary.state === 'active' || summary.state === 'collecting';
  // Late spans reopen a trace, so a decided one is asked for, too, now and then.
  const newest = useLoad(`verdict ${id}`, (signal) => api.verdict(id, signal), open ? 2000 : 5000);
  const current = newest.data ?? answer;
  const grown = current.summary.spans - summary.spans;

  const raw = useMemo(() => timesOf(tree), [tree]);
  const skew = current.verdict?.skew ?? [];
  const corrected = params.clock === 'corrected' && skew.length > 0;
  const offsets = useMemo(() => offsetsOf(tree, skew), [tree, JSON.stringify(skew)]);
  const times = useMemo(() => (corrected ? timesOf(tree, offsets) : raw), [tree, corrected, offsets]);

  const byId = useMemo(() => {
    const map = new Map<string, number>();
    for (let node = tree.nodes - 1; node >= 0; node--) map.set(tree.spanId[node], node);
    return map;
  }, [tree]);
  const view = params.view === 'flame' || params.view === 'stats' ? params.view : 'waterfall';
  const selected = params.span ? (byId.get(params.span) ?? -1) : -1;
  const focus = params.focus ? (byId.get(params.focus) ?? -1) : -1;
  const [collapsed, setCollapsed] = useState<ReadonlySet<number>>(none);
  const rows = useMemo(() => visibleRows(tree, collapsed, focus), [tree, collapsed, focus]);
  const position = useMemo(() => {
    const at = new Int32Array(tree.nodes).fill(-1);
    rows.forEach((node, index) => {
      at[node] = index;
    });
    return at;
  }, [rows]);

  const [from, to] = useMemo(() => {
    const match = /^(-?\d+)-(-?\d+)$/.exec(params.z ?? '');
    const [first, last] = match ? [times.from + Number(match[1]), times.from + Number(match[2])] : [times.from, times.to];
    return last > first ? [first, last] : [times.from, times.to];
  }, [params.z, times]);
  const onWindow = (first: number, last: number) => {
    const whole = first <= times.from && last >= times.to;
    setParams({ z: whole ? '' : `${Math.round(first - times.from)}-${Math.round(last - times.from)}` });
  };

  const root = focus >= 0 ? focus : (byId.get(summary.rootSpanID ?? '') ?? tree.order[0] ?? -1);
  const wantCritical = params.crit === '1';
  const critical = useMemo(() => (wantCritical && root >= 0 ? criticalPath(tree, times, root) : undefined), [tree, times, wantCritical, root]);

  const [typed, setTyped] = useState(params.q ?? '');
  useEffect(() => setTyped(params.q ?? ''), [params.q]);
  const matches = useMemo(() => matchingNodes(tree, params.q ?? ''), [tree, params.q]);
  const matched = useMemo(() => {
    if (!matches) return undefined;
    const flags = new Uint8Array(tree.nodes);
    for (const node of matches) flags[node] = 1;
    return flags;
  }, [matches]);

  const control = useRef<VirtualControl>(null);
  const [nameWidth, setNameWidth] = useState(() => (innerWidth < 700 ? 55 : 36));
  const reveal = (node: number, centre = true) => {
    // What is closed above it opens.
    let hidden = false;
    const next = new Set(collapsed);
    for (let up = tree.parent[node]; up !== -1; up = tree.parent[up]) hidden = next.delete(up) || hidden;
    const inFocus = focus === -1 || (tree.place[node] >= tree.place[focus] && tree.place[node] < tree.place[focus] + tree.size[focus]);
    if (hidden) setCollapsed(next);
    if (!inFocus) setParams({ focus: '' });
    const wanted = visibleRows(tree, next, inFocus ? focus : -1).indexOf(node);
    requestAnimationFrame(() => control.current?.reveal(wanted, centre));
  };
  const select = (node: number, centre = false) => {
    setParams({ span: node < 0 ? '' : tree.spanId[node], view: view === 'waterfall' ? params.view : '' });
    if (node >= 0) reveal(node, centre);
  };
  const spanById = (spanId: string) => {
    const node = byId.get(spanId);
    if (node !== undefined) select(node, true);
  };
  useEffect(() => {
    if (selected >= 0) reveal(selected);
  }, []);
  const toggle = (node: number, level: boolean) => {
    if (tree.size[node] === 1) return;
    const closing = !collapsed.has(node);
    const next = new Set(collapsed);
    const set = (one: number) => (closing ? next.add(one) : next.delete(one));
    if (level) {
      for (const one of tree.order) if (tree.depth[one] === tree.depth[node] && tree.size[one] > 1) set(one);
    } else {
      set(node);
    }
    setCollapsed(next);
  };
  const closeAll = () => setCollapsed(new Set(tree.order.filter((node) => tree.size[node] > 1 && tree.depth[node] > (focus >= 0 ? tree.depth[focus] : 0))));
  const step = (by: number) => {
    if (rows.length === 0) return;
    const at = selected >= 0 ? position[selected] : -1;
    select(rows[Math.max(0, Math.min(rows.length - 1, at + by))]);
  };
  const nextOf = (wanted: (node: number) => boolean, by: number, what: string) => {
    const start = selected >= 0 ? tree.place[selected] : by > 0 ? -1 : tree.nodes;
    for (let n = 1; n <= tree.nodes; n++) {
      const node = tree.order[(((start + n * by) % tree.nodes) + tree.nodes) % tree.nodes];
      if (wanted(node)) return select(node, true);
    }
    say(`No ${what} in this trace`);
  };
  const toFocus = (node: number) => {
    setParams({ focus: node < 0 || node === focus ? '' : tree.spanId[node], span: node < 0 ? '' : tree.spanId[node], view: '' }, false);
    if (control.current?.element) control.current.element.scrollTop = 0;
  };
  const [verdictOpen, setVerdictOpen] = useState(() => answer.verdict !== null && (answer.verdict.state !== 'complete' || answer.verdict.findings.some((finding) => finding.severity !== 'info') || answer.verdict.skew.length > 0));
  const setClock = (next: boolean) => {
    if (skew.length === 0) return say('No clock of this trace needs correcting');
    setParams({ clock: next ? 'corrected' : '' });
    return undefined;
  };
  useKeys({
    j: () => step(1),
    k: () => step(-1),
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    PageDown: () => step(20),
    PageUp: () => step(-20),
    Home: () => select(rows[0]),
    End: () => select(rows[rows.length - 1]),
    ArrowRight: (event) => {
      if (event.shiftKey) return pan(0.25);
      if (selected < 0) return step(1);
      if (collapsed.has(selected)) return toggle(selected, false);
      if (tree.firstChild[selected] >= 0) select(tree.firstChild[selected]);
      return undefined;
    },
    ArrowLeft: (event) => {
      if (event.shiftKey) return pan(-0.25);
      if (selected < 0) return undefined;
      if (tree.size[selected] > 1 && !collapsed.has(selected)) return toggle(selected, false);
      if (tree.parent[selected] >= 0) select(tree.parent[selected]);
      return undefined;
    },
    '/': () => document.getElementById('span-search')?.focus(),
    n: () => nextOf((node) => matched !== undefined && matched[node] === 1, 1, 'match'),
    N: () => nextOf((node) => matched !== undefined && matched[node] === 1, -1, 'match'),
    e: () => nextOf((node) => tree.error[node] === 1, 1, 'error'),
    f: () => (focus >= 0 ? toFocus(-1) : selected >= 0 ? toFocus(selected) : undefined),
    c: () => setParams({ crit: !wantCritical }),
    t: () => setClock(!corrected),
    v: () => setVerdictOpen(!verdictOpen),
    '1': () => setParams({ view: '' }),
    '2': () => setParams({ view: 'flame' }),
    '3': () => setParams({ view: 'stats' }),
    '+': () => zoom({ times, from, to, onWindow }, 0.5),
    '=': () => zoom({ times, from, to, onWindow }, 0.5),
    '-': () => zoom({ times, from, to, onWindow }, 2),
    '0': () => onWindow(times.from, times.to),
    '[': closeAll,
    ']': () => setCollapsed(none),
    y: () => void copy(location.href, 'the link'),
    Escape: () => {
      if (document.activeElement instanceof HTMLInputElement) document.activeElement.blur();
      else if (selected >= 0) setParams({ span: '' });
    },
  });
  const pan = (share: number) => {
    const width = to - from;
    const first = Math.max(times.from, Math.min(times.to - width, from + width * share));
    onWindow(first, first + width);
  };

  const notes = useMemo(() => {
    if (selected < 0) return [];
    return (current.verdict?.findings ?? []).filter((finding) => finding.spans.includes(tree.spanId[selected])).map((finding) => finding.detail);
  }, [current, selected]);
  const views: [string, string][] = [
    ['waterfall', 'Waterfall'],
    ['flame', 'Flame graph'],
    ['stats', 'Statistics'],
  ];
  const at = matches && selected >= 0 ? matches.indexOf(selected) : -1;
  return (
    <div class={`trace${selected >= 0 ? ' with-details' : ''}`}>
      <div class="trace-head">
        <div class="title">
          <h1>
            <bdi class="service-name">{clip(summary.rootService || '(no service name)', 120)}</bdi> <bdi>{clip(summary.rootName || '(no name)', 200)}</bdi>
          </h1>
          <p class="sub">
            <button type="button" class="verdict-toggle" aria-expanded={verdictOpen} aria-controls="verdict" title="The verdict (v)" onClick={() => setVerdictOpen(!verdictOpen)}>
              <StateBadge state={current.summary.state} large /> <span aria-hidden="true">{verdictOpen ? '▴' : '▾'}</span>
            </button>
            <b>{duration(Number(summary.durationNano))}</b>
            <span>{plural(summary.spans, 'span')}</span>
            <span>{plural(summary.services, 'service')}</span>
            <span>depth {tree.maxDepth + 1}</span>
            <Errors n={summary.errors} />
            <time>{moment(millisOf(summary.startTimeUnixNano), zone.value)}</time>
          </p>
        </div>
        <div class="actions">
          <CopyButton text={id} what="the trace id">
            <code>{id.replace(/^0{16}/, '…')}</code>
          </CopyButton>
          <CopyButton text={() => JSON.stringify(answer.trace, null, 1)} what="the trace as OTLP JSON">
            JSON
          </CopyButton>
          <CopyButton text={() => api.curl(id)} what="a curl command">
            curl
          </CopyButton>
          <CopyButton text={() => `clew trace --server ${location.host || '127.0.0.1:16686'} ${id}`} what="the clew command">
            clew
          </CopyButton>
          <a class="button small" href={formatRoute('compare', '', { a: id })}>
            compare…
          </a>
        </div>
      </div>
      {grown > 0 && (
        <p class="grown" role="status">
          {plural(grown, 'more span')} came since this page was drawn.{' '}
          <button type="button" class="small" disabled={reloading} onClick={reload}>
            Show them
          </button>
        </p>
      )}
      {newest.error && <p class="grown bad" role="status">{newest.error.message} What is shown is as of the last answer.</p>}
      {verdictOpen && <VerdictPanel answer={current} corrected={corrected} hasSpan={(spanId) => byId.has(spanId)} onSpan={spanById} onClock={setClock} />}
      <div class="bar-tools">
        <div class="tabs" role="tablist" aria-label="Views">
          {views.map(([name, title], index) => (
            <button key={name} type="button" role="tab" aria-selected={view === name} title={String(index + 1)} onClick={() => setParams({ view: name === 'waterfall' ? '' : name })}>
              {title}
            </button>
          ))}
        </div>
        {view === 'waterfall' && (
          <>
            <form
              role="search"
              class="span-search"
              onSubmit={(event) => {
                event.preventDefault();
                if ((params.q ?? '') !== typed.trim()) setParams({ q: typed.trim() });
                else nextOf((node) => matched !== undefined && matched[node] === 1, 1, 'match');
              }}
            >
              <input
                id="span-search"
                type="search"
                aria-label="Find spans"
                placeholder="find spans"
                value={typed}
                spellcheck={false}
                onInput={(event) => {
                  const text = event.currentTarget.value;
                  setTyped(text);
                  clearTimeout(searchTimer);
                  searchTimer = window.setTimeout(() => setParams({ q: text.trim() }), 200);
                }}
              />
              {matches && (
                <span class="quiet" role="status">
                  {at >= 0 ? `${count(at + 1)} of ` : ''}
                  {count(matches.length)}
                </span>
              )}
            </form>
            <button type="button" class="small" aria-pressed={wantCritical} title="What the end was waiting for (c)" onClick={() => setParams({ crit: !wantCritical })}>
              critical path
            </button>
            {skew.length > 0 && (
              <span class="toggle" role="group" aria-label="Clocks (t)">
                <button type="button" class="small" aria-pressed={!corrected} onClick={() => setClock(false)}>
                  raw clocks
                </button>
                <button type="button" class="small" aria-pressed={corrected} onClick={() => setClock(true)}>
                  corrected
                </button>
              </span>
            )}
            {focus >= 0 && (
              <button type="button" class="small on" onClick={() => toFocus(-1)}>
                focused · show all
              </button>
            )}
            {params.z && (
              <button type="button" class="small on" onClick={() => onWindow(times.from, times.to)}>
                {duration(to - from)} window · show all
              </button>
            )}
            <span class="spring" />
            <button type="button" class="small" title="Close all rows ([)" onClick={closeAll}>
              close all
            </button>
            <button type="button" class="small" title="Open all rows (])" onClick={() => setCollapsed(none)}>
              open all
            </button>
          </>
        )}
      </div>
      <div class="trace-body">
        {view === 'flame' ? (
          <Flame tree={tree} times={times} onSelect={(node) => select(node, true)} />
        ) : view === 'stats' ? (
          <Statistics tree={tree} times={times} onSelect={(node) => select(node, true)} />
        ) : (
          <Waterfall
            tree={tree}
            times={times}
            rows={rows}
            collapsed={collapsed}
            selected={selected}
            matched={matched}
            critical={critical}
            from={from}
            to={to}
            nameWidth={nameWidth}
            baseDepth={focus >= 0 ? tree.depth[focus] : 0}
            control={control}
            onSelect={(node) => select(node === selected ? -1 : node)}
            onToggle={toggle}
            onWindow={onWindow}
            onNameWidth={setNameWidth}
          />
        )}
        {selected >= 0 && view === 'waterfall' && (
          <Details
            key={selected}
            tree={tree}
            times={times}
            raw={raw}
            node={selected}
            offset={corrected && selected < tree.spans ? offsets[tree.host[selected]] : 0}
            notes={notes}
            onSelect={(node) => select(node, true)}
            onFocus={toFocus}
            onClose={() => setParams({ span: '' })}
          />
        )}
      </div>
    </div>
  );
}

let searchTimer = 0;
