// Two traces: what is only in one, what is there more or less often, what takes longer.
import { useMemo, useState } from 'preact/hooks';
import { api, type TraceAnswer } from '../api';
import { useLoad } from '../hooks';
import { changeOf, compareTrees, type Change, type Difference } from '../lib/compare';
import { clip } from '../lib/otlp';
import { formatRoute } from '../lib/route';
import { count, duration, millisOf, moment, plural } from '../lib/time';
import { buildTree, timesOf, type Times, type Tree } from '../lib/tree';
import { route, setParams, zone } from '../state';
import { Errors, Problem, rootTitle, Service, StateBadge } from '../parts/common';
import { VirtualList } from '../parts/virtual';

const changes: Record<Change, [string, string]> = {
  same: ['', ''],
  'only-a': ['− only in A', 'gone'],
  'only-b': ['+ only in B', 'new'],
  more: ['↑ more often', 'more'],
  fewer: ['↓ less often', 'fewer'],
  slower: ['▲ slower', 'slower'],
  faster: ['▼ faster', 'faster'],
};

interface Loaded {
  answer: TraceAnswer;
  tree: Tree;
  times: Times;
}

function useTrace(id: string | undefined) {
  return useLoad<Loaded>(id || undefined, async (signal) => {
    const answer = await api.trace(id as string, signal);
    const tree = buildTree(answer.traceID, answer.trace);
    return { answer, tree, times: timesOf(tree) };
  });
}

function Side({ name, id, loaded }: { name: 'a' | 'b'; id: string; loaded: ReturnType<typeof useTrace> }) {
  const summary = loaded.data?.answer.summary;
  return (
    <section class={`side side-${name}`} aria-label={`Trace ${name.toUpperCase()}`}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const input = event.currentTarget.elements.namedItem('id') as HTMLInputElement;
          setParams({ [name]: /[0-9a-f]{1,32}/i.exec(input.value)?.[0]?.toLowerCase() ?? '' }, false);
        }}
      >
        <label>
          <b>{name.toUpperCase()}</b>
          <input name="id" defaultValue={id} key={id} placeholder="trace id" spellcheck={false} />
        </label>
      </form>
      {loaded.error && <Problem error={loaded.error} again={loaded.again} />}
      {summary && (
        <p class="sub">
          <a href={formatRoute('trace', id)}>{clip(rootTitle(summary), 100)}</a>
          <StateBadge state={summary.state} />
          <b>{duration(Number(summary.durationNano))}</b>
          <span>{plural(summary.spans, 'span')}</span>
          <Errors n={summary.errors} />
          <time>{moment(millisOf(summary.startTimeUnixNano), zone.value)}</time>
        </p>
      )}
    </section>
  );
}

export function ComparePage() {
  const { a = '', b = '' } = route.value.params;
  const left = useTrace(a);
  const right = useTrace(b);
  const [onlyChanged, setOnlyChanged] = useState(false);
  const rows = useMemo(() => (left.data && right.data ? compareTrees(left.data.tree, left.data.times, right.data.tree, right.data.times) : []), [left.data, right.data]);
  const tally = useMemo(() => {
    const sums = new Map<Change, number>();
    for (const row of rows) sums.set(changeOf(row), (sums.get(changeOf(row)) ?? 0) + 1);
    return sums;
  }, [rows]);
  const shown = useMemo(() => (onlyChanged ? rows.filter((row) => changeOf(row) !== 'same') : rows), [rows, onlyChanged]);
  const longest = Math.max(1, ...rows.map((row) => Math.max(row.a.total, row.b.total)));
  return (
    <div class="compare">
      <h1>Compare two traces</h1>
      <div class="sides">
        <Side name="a" id={a} loaded={left} />
        <button type="button" class="swap" title="Swap A and B" aria-label="Swap A and B" onClick={() => setParams({ a: b, b: a }, false)}>
          ⇄
        </button>
        <Side name="b" id={b} loaded={right} />
      </div>
      {!a || !b ? (
        <p class="quiet pad">
          Give two trace ids, or mark two traces in the <a href="#/search">search</a> (key x).
        </p>
      ) : rows.length > 0 ? (
        <>
          <div class="found">
            <span>
              {[...tally].filter(([change]) => change !== 'same').map(([change, n]) => `${changes[change][0]}: ${count(n)}`).join(' · ') || 'No difference in structure, none worth telling in time'}
            </span>
            <label class="check">
              <input type="checkbox" checked={onlyChanged} onChange={(event) => setOnlyChanged(event.currentTarget.checked)} /> only what differs
            </label>
          </div>
          <div class="diff-head diff-row" aria-hidden="true">
            <span>service and operation, by their path</span>
            <span class="n">spans A → B</span>
            <span>time A over B</span>
            <span class="n">difference</span>
            <span />
          </div>
          <VirtualList class="diff" role="list" aria-label="Differences" count={shown.length} rowHeight={34} row={(index, top) => <DiffRow key={index} row={shown[index]} top={top} longest={longest} />} />
        </>
      ) : (
        !left.error && !right.error && <p class="loading">Loading both traces…</p>
      )}
    </div>
  );
}

function DiffRow({ row, top, longest }: { row: Difference; top: number; longest: number }) {
  const change = changeOf(row);
  const delta = row.b.total - row.a.total;
  return (
    <div class={`diff-row change-${change}`} role="listitem" style={{ transform: `translateY(${top}px)` }}>
      <span class="path" style={{ paddingLeft: `${Math.min(row.depth, 24) * 12}px` }}>
        <Service name={row.service} /> <bdi>{clip(row.name || '(no name)', 160)}</bdi>
        {row.b.errors !== row.a.errors && (
          <b class="bad">
            {' '}
            ▲ {row.a.errors} → {row.b.errors}
          </b>
        )}
      </span>
      <span class="n">{row.a.spans === row.b.spans ? count(row.a.spans) : `${count(row.a.spans)} → ${count(row.b.spans)}`}</span>
      <span class="bars" aria-hidden="true">
        <i class="a" style={{ width: `${(row.a.total / longest) * 100}%`, visibility: row.a.spans ? 'visible' : 'hidden' }} />
        <i class="b" style={{ width: `${(row.b.total / longest) * 100}%`, visibility: row.b.spans ? 'visible' : 'hidden' }} />
      </span>
      <span class="n">{row.a.spans && row.b.spans ? `${delta > 0 ? '+ ' : ''}${duration(delta)}` : duration(row.a.spans ? row.a.total : row.b.total)}</span>
      <span class="change">{changes[change][0]}</span>
    </div>
  );
}
