// Search: the conditions, a plot of what they find, and the list. The address is the query.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { ahead, api, ApiError, type Hit, type SearchAsked } from '../api';
import { useKeys, useNames } from '../hooks';
import { ago, count, duration, millisOf, moment, plural } from '../lib/time';
import { clip } from '../lib/otlp';
import { completing, quote, toTraceQL } from '../lib/filter';
import { formatRoute } from '../lib/route';
import { route, setParams, tenant, token, zone } from '../state';
import { Combo } from '../parts/combo';
import { apiRange, boundsOf, RangePicker, rangeOf } from '../parts/range';
import { lazy } from '../parts/lazy';
import type { ScatterProps } from '../parts/scatter';
import { Field, Problem, Service, StateBadge } from '../parts/common';
import { VirtualList, type VirtualControl } from '../parts/virtual';
import { FirstRun } from '../parts/firstrun';

const Scatter = lazy<ScatterProps>(() => import('../parts/scatter').then((module) => module.Scatter));

const pageSize = 200;
const verdicts: [string, string][] = [
  ['', 'any verdict'],
  ['complete', '● complete'],
  ['incomplete', '◓ incomplete'],
  ['timed_out', '◓ given up'],
  ['open', '○ still open'],
];
const findings = ['orphan', 'no_root', 'several_roots', 'cycle', 'client_without_server', 'duplicate_id', 'clock_skew', 'negative_duration', 'implausible_time', 'starts_before_parent', 'ends_after_parent', 'starts_after_parent_end', 'drops_reported', 'flags_inconsistent', 'invalid_id', 'shared_span_id', 'too_many_spans'];

interface Found {
  hits: Hit[];
  next: string | null;
  loading: boolean;
  error?: ApiError;
  key: string;
}

// What the address asks for; nothing when it cannot be asked, then `problem` says why.
function askedOf(params: Record<string, string>): { asked?: SearchAsked; problem?: string } {
  const { q, problem } = toTraceQL({ service: params.service, operation: params.op, filter: params.f, min: params.min, max: params.max, error: params.error === '1' });
  return problem ? { problem } : { asked: { ...apiRange(rangeOf(params)), q, state: params.state, finding: params.finding, limit: pageSize } };
}

// Before anything is drawn.
export function searchAhead(params: Record<string, string>): void {
  const { asked } = askedOf(params);
  if (asked) ahead.search(asked);
}

// Pages of one search, and with `live` the newest of it again and again.
function useSearch(key: string, asked: SearchAsked | undefined, live: boolean) {
  const [found, setFound] = useState<Found>({ hits: [], next: null, loading: true, key: '' });
  const [turn, setTurn] = useState(0);
  const more = useRef<AbortController>();
  const fail = (error: unknown): ApiError => (error instanceof ApiError ? error : new ApiError(-1, 'PAGE', String(error), ''));
  useEffect(() => {
    if (!asked) {
      setFound({ hits: [], next: null, loading: false, key });
      return undefined;
    }
    const abort = new AbortController();
    let timer = 0;
    setFound((old) => ({ ...old, loading: true, error: undefined }));
    api.search(asked, abort.signal).then(
      (page) => setFound({ hits: page.hits, next: page.next, loading: false, key }),
      (error) => {
        if (abort.signal.aborted) return;
        const problem = fail(error);
        setFound((old) => ({ ...old, hits: old.key === key ? old.hits : [], next: null, loading: false, error: problem, key }));
        if (problem.status === 0 || problem.status === 503) timer = window.setTimeout(() => setTurn((n) => n + 1), 3000);
      },
    );
    return () => {
      abort.abort();
      more.current?.abort();
      clearTimeout(timer);
    };
  }, [key, turn]);
  useEffect(() => {
    if (!live || !asked) return undefined;
    const abort = new AbortController();
    const timer = setInterval(() => {
      if (document.hidden) return;
      api.search({ ...asked, limit: 50 }, abort.signal).then(
        (page) =>
          setFound((old) => {
            if (old.key !== key) return old;
            const fresh = new Map(page.hits.map((hit) => [hit.traceID, hit]));
            const kept = old.hits.map((hit) => fresh.get(hit.traceID) ?? hit);
            const known = new Set(old.hits.map((hit) => hit.traceID));
            const added = page.hits.filter((hit) => !known.has(hit.traceID));
            const hits = added.length ? [...added, ...kept].sort((a, b) => millisOf(b.summary.startTimeUnixNano) - millisOf(a.summary.startTimeUnixNano)) : kept;
            return { ...old, hits, error: undefined };
          }),
        (error) => abort.signal.aborted || setFound((old) => ({ ...old, error: fail(error) })),
      );
    }, 2000);
    return () => {
      abort.abort();
      clearInterval(timer);
    };
  }, [key, live]);
  const loadMore = () => {
    if (!asked || found.loading || !found.next || found.error) return;
    more.current = new AbortController();
    const cursor = found.next;
    setFound((old) => ({ ...old, loading: true }));
    api.search({ ...asked, cursor }, more.current.signal).then(
      (page) => setFound((old) => (old.next === cursor ? { ...old, hits: [...old.hits, ...page.hits], next: page.next, loading: false } : old)),
      (error) => more.current?.signal.aborted || setFound((old) => ({ ...old, loading: false, error: fail(error) })),
    );
  };
  return { found, loadMore, again: () => setTurn((n) => n + 1) };
}

export function SearchPage() {
  const { params } = route.value;
  const range = rangeOf(params);
  const { asked, problem } = useMemo(() => askedOf(params), [params]);
  const live = params.live === '1';
  const key = JSON.stringify([asked, tenant.value, token.value]);
  const { found, loadMore, again } = useSearch(key, asked, live);
  // The plot is loaded and drawn when the list stands there: the list is what one waits for.
  const [plotted, setPlotted] = useState(false);
  useEffect(() => {
    if (!found.loading) setPlotted(true);
  }, [found.loading]);
  const now = useMemo(() => Date.now(), [found.hits, key]);
  const [from, to] = boundsOf(range, now);

  const services = useNames({ of: 'services' });
  const operations = useNames(params.service ? { of: 'operations', service: params.service } : undefined);
  const [wantKeys, setWantKeys] = useState(false);
  const keys = useNames(wantKeys ? { of: 'keys' } : undefined);
  const [valuesOf, setValuesOf] = useState('');
  const values = useNames(valuesOf ? { of: 'values', key: valuesOf } : undefined);
  const completed = valuesOf ? values : keys;

  const [at, setAt] = useState(-1);
  useEffect(() => setAt(-1), [key]);
  const list = useRef<VirtualControl>(null);
  const chosen = (params.compare ?? '').split(',').filter(Boolean);
  const toggle = (id: string) => setParams({ compare: (chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id].slice(-2)).join(',') });
  const move = (step: number) => {
    const next = Math.max(0, Math.min(found.hits.length - 1, at + step));
    setAt(next);
    list.current?.reveal(next);
    requestAnimationFrame(() => document.getElementById(`hit-${next}`)?.focus({ preventScroll: true }));
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    x: () => at >= 0 && found.hits[at] && toggle(found.hits[at].traceID),
    l: () => setParams({ live: !live }),
    '/': () => document.getElementById('filter')?.focus(),
  });

  const rowHeight = innerWidth < 760 ? 50 : 36;
  const longest = Math.max(1, ...found.hits.map((hit) => Number(hit.summary.durationNano)));
  const empty = !found.loading && !found.error && !problem && found.hits.length === 0;
  const noData = empty && services.known?.names.length === 0;
  if (noData) return <FirstRun onReceived={() => (services.again(), again())} />;
  const set = (changes: Record<string, string | boolean>) => setParams(changes, false);
  return (
    <>
      <h1 class="hidden">Search traces</h1>
      <form class="conditions" role="search" aria-label="Traces" onSubmit={(event) => event.preventDefault()}>
        <Combo label="Service" placeholder="any service" value={params.service ?? ''} found={services} onChange={(service) => set({ service, op: '' })} class="wide" />
        <Combo label="Operation" placeholder="any operation" value={params.op ?? ''} found={operations} onChange={(op) => set({ op })} class="wide" />
        <Combo
          label="Filter by attributes"
          inputId="filter"
          class="filter"
          placeholder="http.status_code>=500  error=true   or { TraceQL }"
          value={params.f ?? ''}
          invalid={problem !== undefined && params.f !== undefined}
          describedBy={problem ? 'problem' : undefined}
          found={completed}
          onFocus={() => setWantKeys(true)}
          onCaret={(text, caret) => {
            const found = completing(text, caret);
            setValuesOf(found?.what === 'value' ? found.key : '');
          }}
          part={(text, caret) => completing(text, caret)}
          accept={(option, part) => {
            const input = document.getElementById('filter') as HTMLInputElement;
            const before = input.value.slice(0, part.from);
            const after = input.value.slice(part.to);
            return valuesOf ? `${before}${/[\s"]/.test(option) || option === '' ? quote(option) : option} ${after.trimStart()}` : `${before}${option}=${after}`;
          }}
          onChange={(f) => set({ f })}
        />
        <RangePicker range={range} onChange={({ since, start, end }) => set({ since: since === '1h' ? '' : since, start, end })} />
        <button type="button" class={`live${live ? ' on' : ''}`} aria-pressed={live} title="Live tail (l)" onClick={() => set({ live: !live })}>
          <span aria-hidden="true">{live ? '◉' : '○'}</span> live
        </button>
        <div class="between">
          <Field aria-label="Shortest duration" placeholder="min" title="10ms, 1.5s, 2m" value={params.min ?? ''} commit={(min) => set({ min })} />
          <span aria-hidden="true">–</span>
          <Field aria-label="Longest duration" placeholder="max" title="10ms, 1.5s, 2m" value={params.max ?? ''} commit={(max) => set({ max })} />
        </div>
        <select aria-label="Verdict" value={params.state ?? ''} onChange={(event) => set({ state: event.currentTarget.value })}>
          {verdicts.map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
        <select aria-label="Finding" value={params.finding ?? ''} onChange={(event) => set({ finding: event.currentTarget.value })}>
          <option value="">any finding</option>
          {findings.map((kind) => (
            <option key={kind} value={kind}>
              {kind.replaceAll('_', ' ')}
            </option>
          ))}
        </select>
        <label class="check">
          <input type="checkbox" checked={params.error === '1'} onChange={(event) => set({ error: event.currentTarget.checked })} /> errors
        </label>
      </form>
      {problem && (
        <p class="bad pad" id="problem" role="alert">
          {problem}
        </p>
      )}
      {found.error && <Problem error={found.error} again={again} />}
      <div class="plot">
        {plotted && (
          <Scatter
            hits={found.hits}
            from={from}
            to={live ? undefined : to}
            more={found.next !== null}
            onSelect={(first, last) => set({ since: '', start: String(Math.floor(first)), end: String(Math.ceil(last)) })}
          />
        )}
      </div>
      <div class="found" aria-live="polite">
        <span>
          {found.loading && found.hits.length === 0 ? 'Searching…' : `${plural(found.hits.length, 'trace')}${found.next ? ', and more below' : ''}`}
          {live && ' · live'}
        </span>
        {chosen.length > 0 && (
          <span class="marked">
            {chosen.length === 1 ? '1 trace marked: mark another to compare' : <a href={formatRoute('compare', '', { a: chosen[0], b: chosen[1] })}>Compare the 2 marked traces</a>}{' '}
            <button type="button" class="small" onClick={() => setParams({ compare: '' })}>
              none
            </button>
          </span>
        )}
        <span class="legend quiet" aria-hidden="true">
          ● complete&ensp;◓ incomplete&ensp;○ open&ensp;▲ errors
        </span>
      </div>
      {empty ? (
        <div class="empty">
          <p>No trace fits these conditions{range.since && range.since !== 'all' ? ' in this time range' : ''}.</p>
          {range.since !== 'all' && (
            <button type="button" onClick={() => set({ since: 'all', start: '', end: '' })}>
              Search all times
            </button>
          )}
        </div>
      ) : (
        <VirtualList
          class="hits"
          role="list"
          aria-label="Traces found"
          count={found.hits.length}
          rowHeight={rowHeight}
          control={list}
          onRange={(_first, last) => last > found.hits.length - 40 && loadMore()}
          row={(index, top) => (
            <HitRow key={found.hits[index].traceID} hit={found.hits[index]} index={index} top={top} current={index === at} marked={chosen.includes(found.hits[index].traceID)} longest={longest} now={now} onMark={toggle} total={found.next ? -1 : found.hits.length} />
          )}
        />
      )}
    </>
  );
}

interface HitProps {
  hit: Hit;
  index: number;
  top: number;
  current: boolean;
  marked: boolean;
  longest: number;
  now: number;
  total: number;
  onMark: (id: string) => void;
}

function HitRow({ hit, index, top, current, marked, longest, now, total, onMark }: HitProps) {
  const { summary } = hit;
  const start = millisOf(summary.startTimeUnixNano);
  const took = Number(summary.durationNano);
  // On a logarithmic scale, as in the plot: a bar that is twice as long is ten times slower.
  const share = Math.max(0.02, Math.log10(Math.max(1e4, took) / 1e4) / Math.max(1, Math.log10(longest / 1e4)));
  return (
    <div class={`hit${current ? ' current' : ''}`} role="listitem" aria-setsize={total} aria-posinset={index + 1} style={{ transform: `translateY(${top}px)` }}>
      <label class="mark" title="Mark for comparing (x)">
        <input type="checkbox" checked={marked} aria-label={`Mark ${hit.traceID} for comparing`} onChange={() => onMark(hit.traceID)} />
      </label>
      <a id={`hit-${index}`} href={formatRoute('trace', hit.traceID)} aria-current={current ? 'true' : undefined}>
        <span class="what">
          <Service name={summary.rootService} />
          <bdi class="name">{clip(summary.rootName || '(no name)', 300)}</bdi>
        </span>
        <span class="state-cell">
          <StateBadge state={summary.state} />
        </span>
        <span class={`errors${summary.errors ? '' : ' none'}`}>{summary.errors > 0 ? <>▲ {count(summary.errors)}<span class="hidden"> errors</span></> : ''}</span>
        <span class="n">
          {count(summary.spans)}
          <small> {summary.spans === 1 ? 'span' : 'spans'}</small>
        </span>
        <span class="n services">
          {count(summary.services)}
          <small> {summary.services === 1 ? 'service' : 'services'}</small>
        </span>
        <span class="took">
          <span>{duration(took)}</span>
          <i aria-hidden="true">
            <i style={{ width: `${share * 100}%` }} />
          </i>
        </span>
        <time dateTime={Number.isFinite(start) && Math.abs(start) < 8e15 ? new Date(start).toISOString() : undefined} title={ago(start, now)}>
          {moment(start, zone.value)}
        </time>
      </a>
    </div>
  );
}
