// A table whose columns sort.
import type { ComponentChildren } from 'preact';
import { useMemo, useState } from 'preact/hooks';

export interface Column<T> {
  name: string;
  title?: string;
  value: (row: T) => number | string;
  show?: (row: T) => ComponentChildren;
  number?: boolean;
}

export function SortTable<T>({ label, rows, columns, sort, rowKey, most = 500 }: { label: string; rows: T[]; columns: Column<T>[]; sort: string; rowKey: (row: T) => string; most?: number }) {
  const [by, setBy] = useState(sort);
  const [down, setDown] = useState(true);
  const sorted = useMemo(() => {
    const column = columns.find((one) => one.name === by) ?? columns[0];
    const all = [...rows].sort((a, b) => {
      const [x, y] = [column.value(a), column.value(b)];
      return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
    });
    return all.slice(0, most);
  }, [rows, by, down]);
  return (
    <div class="table-box">
      <table class="sortable" aria-label={label}>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.name} scope="col" class={column.number ? 'n' : ''} aria-sort={by === column.name ? (down ? 'descending' : 'ascending') : undefined}>
                <button
                  type="button"
                  title={column.title}
                  onClick={() => {
                    setDown(by === column.name ? !down : column.number === true);
                    setBy(column.name);
                  }}
                >
                  {column.name} <span aria-hidden="true">{by === column.name ? (down ? '↓' : '↑') : ''}</span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.map((row) => (
            <tr key={rowKey(row)}>
              {columns.map((column) => (
                <td key={column.name} class={column.number ? 'n' : ''}>
                  {column.show ? column.show(row) : column.value(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > sorted.length && (
        <p class="quiet">
          the first {sorted.length} of {rows.length}
        </p>
      )}
    </div>
  );
}
