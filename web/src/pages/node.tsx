// The node that answers, and the cluster around it when there is one: storage, ingest, what was rejected and came late,
// and the configuration in force.
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, type Configuration, type Stats } from '../api';
import { useLoad, type Loaded } from '../hooks';
import { ago, bytes, count, millisOf, moment, percent } from '../lib/time';
import { lazy } from '../parts/lazy';
import { route, setParams, zone } from '../state';
import { retentionOf } from '../lib/cluster';
import { CopyButton, Problem } from '../parts/common';
import { Group } from '../parts/group';

const Keys = lazy(() => import('../parts/keys').then((module) => module.Keys));

const everyMs = 2000;
const kept = 90; // samples of a rate: three minutes

interface Sample {
  at: number;
  accepted: number;
  rejected: number;
  refused: number;
}

const rejectedOf = (stats: Stats) => Object.values(stats.ingest.rejectedSpans).reduce((sum, n) => sum + Number(n), 0);

function Spark({ values, label }: { values: number[]; label: string }) {
  const most = Math.max(1e-9, ...values);
  const points = values.map((value, index) => `${((index + kept - values.length) / (kept - 1)) * 100},${30 - (value / most) * 28}`);
  return (
    <svg class="spark" viewBox="0 0 100 31" preserveAspectRatio="none" role="img" aria-label={label}>
      {points.length > 1 && <polyline points={points.join(' ')} vector-effect="non-scaling-stroke" />}
    </svg>
  );
}

function Meter({ share, label }: { share: number; label: string }) {
  return (
    <div class={`meter${share > 0.9 ? ' high' : ''}`} role="meter" aria-valuenow={Math.round(share * 100)} aria-valuemin={0} aria-valuemax={100} aria-label={label}>
      <i style={{ width: `${Math.min(1, share) * 100}%` }} />
    </div>
  );
}

function Fact({ name, children, title }: { name: string; children: preact.ComponentChildren; title?: string }) {
  return (
    <div title={title}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

export function NodePage() {
  const keys = route.value.params.view === 'keys';
  const stats = useLoad('stats', (signal) => api.stats(signal), everyMs);
  const config = useLoad('config', (signal) => api.config(signal));
  const [samples, setSamples] = useState<Sample[]>([]);
  const last = useRef<Stats>();
  useEffect(() => {
    if (!stats.data || stats.data === last.current) return;
    last.current = stats.data;
    const sample = { at: performance.now(), accepted: Number(stats.data.ingest.acceptedSpans), rejected: rejectedOf(stats.data), refused: Number(stats.data.ingest.refusedRequests) };
    // Counters that go back belong to a node that started anew.
    setSamples((old) => [...(old.length && old[old.length - 1].accepted > sample.accepted ? [] : old), sample].slice(-kept));
  }, [stats.data]);
  const rates = (of: (sample: Sample) => number) => samples.slice(1).map((sample, index) => Math.max(0, of(sample) - of(samples[index])) / Math.max(1e-3, (sample.at - samples[index].at) / 1e3));
  const accepted = rates((sample) => sample.accepted);
  const rejectedRate = rates((sample) => sample.rejected);
  const data = stats.data;
  return (
    <div class={`node pad${keys ? ' whole' : ''}`}>
      <div class="page-head">
        <h1>Cluster</h1>
        {data && !stats.error && <span class={`state large ${data.ready && !data.diskFull ? 'state-complete' : 'state-timed_out'}`}>{data.diskFull ? '◓ disk full' : data.ready ? '● serving' : '○ not ready'}</span>}
        {stats.error && <span class="state large state-timed_out">◌ not reached</span>}
        <span class="quiet">{config.data && `clew ${config.data.version}`} · {location.host}</span>
      </div>
      <div class="tabs" role="tablist" aria-label="Views">
        {(['', 'keys'] as const).map((view) => (
          <button key={view} type="button" role="tab" aria-selected={keys === (view === 'keys')} onClick={() => setParams({ view }, false)}>
            {view === 'keys' ? 'Key-value store' : 'Nodes and storage'}
          </button>
        ))}
      </div>
      {stats.error && <Problem error={stats.error} again={stats.again} />}
      {keys ? <Keys /> : <Overview stats={stats} config={config} accepted={accepted} rejectedRate={rejectedRate} />}
    </div>
  );
}

function Overview({ stats, config, accepted, rejectedRate }: { stats: Loaded<Stats>; config: Loaded<Configuration>; accepted: number[]; rejectedRate: number[] }) {
  const { data } = stats;
  const now = accepted[accepted.length - 1];
  const retention = retentionOf(config.data?.yaml ?? '');
  return (
    <>
      <Group />
      {data && (
        <div class={`tiles${stats.error ? ' stale' : ''}`}>
          <section class="tile">
            <h2>Ingest</h2>
            <p class="big">
              {now === undefined ? '…' : `${count(Math.round(now))}`} <small>spans a second</small>
            </p>
            <Spark values={accepted} label="accepted spans a second over the last minutes" />
            <dl>
              <Fact name="accepted">{count(Number(data.ingest.acceptedSpans))}</Fact>
              <Fact name="duplicates" title="sent again by a client's retry, stored once">
                {count(Number(data.ingest.duplicateSpans))}
              </Fact>
              <Fact name="requests refused" title="for load; clients try again">
                {count(Number(data.ingest.refusedRequests))}
              </Fact>
            </dl>
          </section>
          <section class="tile">
            <h2>Rejected</h2>
            <p class="big">
              {count(rejectedOf(data))} <small>spans, since the start</small>
            </p>
            <Spark values={rejectedRate} label="rejected spans a second over the last minutes" />
            <dl>
              {Object.entries(data.ingest.rejectedSpans).map(([reason, n]) => (
                <Fact key={reason} name={reason.replaceAll('_', ' ')}>
                  {Number(n) > 0 ? <b class="bad">▲ {count(Number(n))}</b> : '0'}
                </Fact>
              ))}
            </dl>
          </section>
          <section class="tile">
            <h2>Traces</h2>
            <p class="big">
              {count(Number(data.traces.open))} <small>open</small>
            </p>
            <dl>
              <Fact name="open spans">{count(Number(data.traces.openRows))}</Fact>
              <Fact name="● complete">{count(Number(data.traces.complete))}</Fact>
              <Fact name="◓ given up">
                <a href="#/search?state=timed_out&since=all">{count(Number(data.traces.timedOut))}</a>
              </Fact>
              <Fact name="reopened by late spans">{count(Number(data.traces.reopened))}</Fact>
            </dl>
          </section>
          <section class="tile">
            <h2>Storage</h2>
            <p class="big">
              {bytes(Number(data.store.bytes))} <small>{count(Number(data.store.spans))} spans</small>
            </p>
            <dl>
              <Fact name="bytes a span">{Number(data.store.spans) ? (Number(data.store.bytes) / Number(data.store.spans)).toFixed(1) : '–'}</Fact>
              <Fact name="traces">{count(Number(data.store.traces))}</Fact>
              <Fact name="segments">{count(Number(data.store.segments))}</Fact>
              <Fact name="compactions">{count(Number(data.store.compactions))}</Fact>
              <Fact name="expired segments">{count(Number(data.store.expiredSegments))}</Fact>
              <Fact name="damaged blocks">{Number(data.store.damagedBlocks) > 0 ? <b class="bad">▲ {count(Number(data.store.damagedBlocks))}</b> : '0'}</Fact>
              {retention && (
                <Fact name="kept up to" title="the retention of the configuration; the oldest goes first">
                  {retention}
                </Fact>
              )}
              <Fact name="oldest arrival" title={data.store.oldestArrivalUnixNano === '0' ? '' : moment(millisOf(data.store.oldestArrivalUnixNano), zone.value)}>
                {data.store.oldestArrivalUnixNano === '0' ? '–' : ago(millisOf(data.store.oldestArrivalUnixNano), Date.now())}
              </Fact>
            </dl>
          </section>
          <section class="tile">
            <h2>Memory</h2>
            <p class="big">
              {bytes(Number(data.memory.bytes))} <small>of {bytes(Number(data.memory.limitBytes))}</small>
            </p>
            <Meter share={Number(data.memory.bytes) / Math.max(1, Number(data.memory.limitBytes))} label="memory of open traces" />
            <p class="quiet">{percent(Number(data.memory.bytes) / Math.max(1, Number(data.memory.limitBytes)))} of what open traces may hold</p>
          </section>
          <section class="tile">
            <h2>Log</h2>
            <p class="big">
              {bytes(Number(data.wal.bytes))} <small>on disk</small>
            </p>
            <dl>
              <Fact name="syncs">{count(Number(data.wal.syncs))}</Fact>
              <Fact name="damaged records">{Number(data.wal.damagedRecords) > 0 ? <b class="bad">▲ {count(Number(data.wal.damagedRecords))}</b> : '0'}</Fact>
              <Fact name="torn at a crash">{bytes(Number(data.wal.tornBytes))}</Fact>
            </dl>
          </section>
        </div>
      )}
      {config.data && (
        <section class="config">
          <h2>
            Configuration in force{' '}
            <CopyButton text={config.data.yaml} what="the configuration">
              copy
            </CopyButton>
          </h2>
          <p class="quiet">Defaults included, secrets masked. Reads back as a configuration file.</p>
          <Yaml text={config.data.yaml} />
        </section>
      )}
      {config.error && <Problem error={config.error} again={config.again} />}
    </>
  );
}

function Yaml({ text }: { text: string }) {
  return (
    <pre class="yaml">
      {text.split('\n').map((line, index) => {
        const match = /^(\s*(?:- )?)([A-Za-z0-9_]+:)(.*)$/.exec(line);
        return (
          <span key={index}>
            {match ? (
              <>
                {match[1]}
                <b>{match[2]}</b>
                {match[3]}
              </>
            ) : line.trimStart().startsWith('#') ? (
              <i>{line}</i>
            ) : (
              line
            )}
            {'\n'}
          </span>
        );
      })}
    </pre>
  );
}
