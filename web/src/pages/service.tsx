// One service over time: rate, errors, duration; its operations, who calls it and whom it calls.
import { useMemo } from 'preact/hooks';
import type uPlot from 'uplot';
import { api, type RedAnswer } from '../api';
import { useLoad } from '../hooks';
import { clip } from '../lib/otlp';
import type { Figures } from '../lib/graph';
import { formatRoute } from '../lib/route';
import { count, duration, millisOf, percent } from '../lib/time';
import { route, setParams, tenant } from '../state';
import { axis, Chart, durationAxis, durationRange, timeAxis, type Palette } from '../parts/chart';
import { apiRange, RangePicker, rangeOf } from '../parts/range';
import { Problem, Service } from '../parts/common';
import { SortTable, type Column } from '../parts/table';
import { Coverage, rangeParams, rate, secondsOf } from './services';

export function ServicePage({ name }: { name: string }) {
  const { params } = route.value;
  const range = params.since || params.start || params.end ? rangeOf(params) : rangeOf({ since: '24h' });
  const asked = range.since === 'all' ? { since: '168h' } : apiRange(range);
  const operation = params.op ?? '';
  const found = useLoad(`red ${name} ${operation} ${JSON.stringify(asked)} ${tenant.value}`, (signal) => api.red({ service: name, operation, points: 90, ...asked }, signal));
  const searchParams = { service: name, op: operation, ...(params.start || params.end ? { start: params.start, end: params.end } : { since: range.since }) };
  return (
    <div class="service-page pad">
      <div class="page-head">
        <h1>
          <Service name={name} />
          {operation && (
            <span class="chip">
              <bdi>{clip(operation, 120)}</bdi>
              <button type="button" aria-label="All operations" onClick={() => setParams({ op: '' }, false)}>
                ✕
              </button>
            </span>
          )}
        </h1>
        <RangePicker range={range} onChange={({ since, start, end }) => setParams({ since, start, end }, false)} />
        <a class="button" href={formatRoute('search', '', searchParams)}>
          Traces
        </a>
        <a class="button" href={formatRoute('search', '', { ...searchParams, error: '1' })}>
          ▲ with errors
        </a>
        <a class="button" href={formatRoute('services', '', { ...rangeParams(params), filter: name })}>
          In the graph
        </a>
      </div>
      {found.error && <Problem error={found.error} again={found.again} />}
      {!found.data && !found.error && <p class="loading">Counting calls…</p>}
      {found.data && <Red answer={found.data} params={params} />}
    </div>
  );
}

function Red({ answer, params }: { answer: RedAnswer; params: Record<string, string> }) {
  const step = Number(answer.stepNano) / 1e9;
  const { xs, calls, errors, p50, p95, p99 } = useMemo(() => {
    const from = millisOf(answer.fromUnixNano) / 1e3;
    const covered = millisOf(answer.coveredFromUnixNano) / 1e3;
    const times = answer.points.map((_one, index) => from + index * step);
    // What is before the newest traces is not known; nothing is drawn there.
    const known = times.map((at) => at + step > covered);
    const of = (value: (point: Figures) => number | null) => answer.points.map((point, index) => (known[index] ? value(point) : null));
    const quantile = (q: 'p50Nano' | 'p95Nano' | 'p99Nano') => of((point) => (point.calls ? Math.max(1e3, Number(point[q])) : null));
    return { xs: times, calls: of((point) => point.calls / step), errors: of((point) => (point.calls ? point.errors / point.calls : null)), p50: quantile('p50Nano'), p95: quantile('p95Nano'), p99: quantile('p99Nano') };
  }, [answer]);
  const zoomTo = (from: number, to: number) => setParams({ since: '', start: String(Math.floor(from * 1e3)), end: String(Math.ceil(to * 1e3)) }, false);
  const bars = (palette: Palette, colour: string): uPlot.Series => ({ stroke: palette.of(colour), fill: `${palette.of(colour)}40`, width: 1.5, points: { show: true, size: 4, fill: palette.of(colour) }, spanGaps: false });
  const seconds = secondsOf(answer);
  const columns: Column<Figures & { operation?: string; service?: string }>[] = [
    { name: 'rate', number: true, value: (row) => row.calls, show: (row) => rate(row.calls, seconds) },
    { name: 'calls', number: true, value: (row) => row.calls, show: (row) => count(row.calls) },
    { name: 'errors', number: true, value: (row) => row.errors / Math.max(1, row.calls), show: (row) => (row.errors ? <b class="bad">▲ {percent(row.errors / row.calls)}</b> : '') },
    { name: 'p50', number: true, value: (row) => Number(row.p50Nano), show: (row) => duration(Number(row.p50Nano)) },
    { name: 'p95', number: true, value: (row) => Number(row.p95Nano), show: (row) => duration(Number(row.p95Nano)) },
    { name: 'p99', number: true, value: (row) => Number(row.p99Nano), show: (row) => duration(Number(row.p99Nano)) },
  ];
  const serviceColumn: Column<Figures & { service?: string }> = {
    name: 'service',
    value: (row) => row.service ?? '',
    show: (row) => (
      <a href={formatRoute('service', row.service ?? '', rangeParams(params))}>
        <Service name={row.service ?? ''} />
      </a>
    ),
  };
  const share = answer.total.errors / Math.max(1, answer.total.calls);
  return (
    <>
      <Coverage covered={answer} />
      <div class="red">
        <figure>
          <figcaption>
            Rate <b>{rate(answer.total.calls, seconds)}</b>
          </figcaption>
          <Chart label={`Calls a second over time; ${count(answer.total.calls)} calls in all`} height={150} data={[xs, calls]} onSelect={zoomTo} options={(palette) => ({ axes: [timeAxis(palette), axis(palette, { size: 46 })], scales: { y: { range: (_plot, _low, high) => [0, high || 1] } }, series: [{}, bars(palette, 'accent')] })} />
        </figure>
        <figure>
          <figcaption>
            Errors <b class={share > 0 ? 'bad' : ''}>{percent(share)}</b>
          </figcaption>
          <Chart
            label={`Share of errors over time; ${percent(share)} in all`}
            height={150}
            data={[xs, errors]}
            onSelect={zoomTo}
            options={(palette) => ({
              axes: [timeAxis(palette), axis(palette, { size: 46, values: (_plot, splits) => splits.map((one) => percent(one)) })],
              scales: { y: { range: (_plot, _low, high) => [0, Math.max(0.01, Math.min(1, (high || 0) * 1.1))] } },
              series: [{}, bars(palette, 'bad')],
            })}
          />
        </figure>
        <figure>
          <figcaption>
            Duration <b>{duration(Number(answer.total.p95Nano))}</b> p95 <span class="quiet">(lines: p99 ┄ p95 ━ p50 ⋯)</span>
          </figcaption>
          <Chart
            label={`Duration over time; p50 ${duration(Number(answer.total.p50Nano))}, p95 ${duration(Number(answer.total.p95Nano))}`}
            height={150}
            data={[xs, p50, p95, p99]}
            onSelect={zoomTo}
            options={(palette) => ({
              axes: [timeAxis(palette), durationAxis(palette)],
              scales: { y: { distr: 3, range: durationRange } },
              series: [{}, { stroke: palette.of('ink-quiet'), width: 1.5, dash: [1, 4], points: { show: true, size: 4 } }, { stroke: palette.of('accent'), width: 2, points: { show: true, size: 4 } }, { stroke: palette.of('ink'), width: 1, dash: [4, 3], points: { show: true, size: 4 } }],
            })}
          />
        </figure>
      </div>
      <h2>Operations</h2>
      <SortTable
        label="Operations"
        rows={answer.operations}
        columns={[
          {
            name: 'operation',
            value: (row) => row.operation,
            show: (row) => (
              <a href={formatRoute('service', answer.service, { ...rangeParams(params), op: row.operation })}>
                <bdi>{clip(row.operation || '(no name)', 140)}</bdi>
              </a>
            ),
          },
          ...columns,
          {
            name: 'traces',
            value: () => '',
            show: (row) => (
              <a href={formatRoute('search', '', { service: answer.service, op: row.operation, ...rangeParams(params) })} aria-label={`Traces of ${row.operation}`}>
                traces
              </a>
            ),
          },
        ]}
        sort="calls"
        rowKey={(row) => row.operation}
      />
      <div class="two">
        <section>
          <h2>Called by</h2>
          {answer.callers.length ? <SortTable label="Callers" rows={answer.callers} columns={[serviceColumn, ...columns]} sort="calls" rowKey={(row) => row.service} /> : <p class="quiet">Nobody that sends spans: its calls come from outside.</p>}
        </section>
        <section>
          <h2>Calls</h2>
          {answer.callees.length ? <SortTable label="Callees" rows={answer.callees} columns={[serviceColumn, ...columns]} sort="calls" rowKey={(row) => row.service} /> : <p class="quiet">No service that sends spans.</p>}
        </section>
      </div>
    </>
  );
}
