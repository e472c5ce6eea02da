// Per service and operation: how many, how long, how much of it their own.
import { useMemo, useState } from 'preact/hooks';
import { statistics, type StatRow } from '../lib/analysis';
import { clip } from '../lib/otlp';
import { count, duration, percent } from '../lib/time';
import type { Times, Tree } from '../lib/tree';
import { Service } from './common';
import { SortTable, type Column } from './table';

export function Statistics({ tree, times, onSelect }: { tree: Tree; times: Times; onSelect: (node: number) => void }) {
  const [by, setBy] = useState<'service' | 'operation'>('operation');
  const rows = useMemo(() => statistics(tree, times, by), [tree, times, by]);
  const self = rows.reduce((sum, row) => sum + row.self, 0) || 1;
  const time = (name: string, of: (row: StatRow) => number, title?: string): Column<StatRow> => ({ name, title, number: true, value: of, show: (row) => duration(of(row)) });
  const columns: Column<StatRow>[] = [
    { name: 'service', value: (row) => row.service, show: (row) => <Service name={row.service} /> },
    ...(by === 'operation'
      ? [
          {
            name: 'operation',
            value: (row: StatRow) => row.operation,
            show: (row: StatRow) => (
              <button type="button" class="link" onClick={() => onSelect(row.first)}>
                <bdi>{clip(row.operation || '(no name)', 120)}</bdi>
              </button>
            ),
          },
        ]
      : []),
    { name: 'spans', number: true, value: (row) => row.spans, show: (row) => count(row.spans) },
    { name: 'errors', number: true, value: (row) => row.errors, show: (row) => (row.errors ? <b class="bad">▲ {count(row.errors)}</b> : '') },
    {
      name: 'self',
      title: 'time that no child covers',
      number: true,
      value: (row) => row.self,
      show: (row) => (
        <span class="share">
          <i style={{ width: `${(row.self / self) * 100}%` }} aria-hidden="true" />
          {duration(row.self)} <small>{percent(row.self / self)}</small>
        </span>
      ),
    },
    time('total', (row) => row.total, 'sum of durations'),
    time('p50', (row) => row.p50),
    time('p95', (row) => row.p95),
    time('longest', (row) => row.max),
  ];
  return (
    <div class="statistics">
      <div class="toggle" role="group" aria-label="Rows">
        <button type="button" class="small" aria-pressed={by === 'operation'} onClick={() => setBy('operation')}>
          by operation
        </button>
        <button type="button" class="small" aria-pressed={by === 'service'} onClick={() => setBy('service')}>
          by service
        </button>
      </div>
      <SortTable key={by} label="Statistics" rows={rows} columns={columns} sort="self" rowKey={(row) => `${row.service}\u0000${row.operation}`} />
    </div>
  );
}
