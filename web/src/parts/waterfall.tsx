// The rows of a trace. Only those near the view are in the document, so 100,000 spans scroll like 100.
import type { RefObject, VNode } from 'preact';
import { useMemo, useRef } from 'preact/hooks';
import type { CriticalPath } from '../lib/analysis';
import { colourOf } from '../lib/colour';
import { clip } from '../lib/otlp';
import { count, duration, ticks } from '../lib/time';
import { CYCLE, DUPLICATE, GHOST, NEGATIVE, ORPHAN, type Times, type Tree } from '../lib/tree';
import { VirtualList, type VirtualControl } from './virtual';
import { Minimap } from './minimap';

export const rowHeight = 26;
const mostKnown = 512;

export interface WaterfallProps {
  tree: Tree;
  times: Times;
  rows: Int32Array;
  collapsed: ReadonlySet<number>;
  selected: number;
  matched?: Uint8Array;
  critical?: CriticalPath;
  from: number;
  to: number;
  nameWidth: number; // percent
  baseDepth: number; // of the focused row
  control: RefObject<VirtualControl>;
  onSelect: (node: number) => void;
  onToggle: (node: number, all: boolean) => void;
  onWindow: (from: number, to: number) => void;
  onNameWidth: (percent: number) => void;
}

const signs: [number, string, string][] = [
  [ORPHAN, '?', 'its parent was not received'],
  [CYCLE, '↻', 'it is its own ancestor'],
  [DUPLICATE, '≡', 'another span has the same id'],
  [NEGATIVE, '⇤', 'it ends before it starts'],
];

export function Waterfall(props: WaterfallProps) {
  const { tree, times, rows, from, to, nameWidth, control } = props;
  const frame = useRef<HTMLDivElement>(null);
  const span = to - from;
  const marks = useMemo(() => ticks(from - times.from, to - times.from, 6), [from, to, times]);
  const place = (time: number) => ((time - from) / span) * 100;
  // A row that is the same object as before is not looked at again: a step of the wheel costs the rows that came.
  const known = useMemo(() => ({ slots: 0, rows: new Map<number, VNode>() }), [tree, times, rows, props.collapsed, props.selected, props.matched, props.critical, from, to, props.baseDepth]);
  const rowAt = (index: number, top: number, slots: number) => {
    if (known.slots !== slots || known.rows.size >= mostKnown) known.rows.clear();
    known.slots = slots;
    const before = known.rows.get(index);
    if (before) return before;
    const made = <Row key={index % slots} {...props} node={rows[index]} index={index} top={top} place={place} />;
    known.rows.set(index, made);
    return made;
  };
  const onRange = (first: number, last: number) => {
    if (!frame.current) return;
    frame.current.style.top = `${(first / Math.max(1, rows.length)) * 100}%`;
    frame.current.style.height = `${(Math.min(1, (last - first) / Math.max(1, rows.length))) * 100}%`;
  };
  const rowOf = (event: Event) => {
    const element = (event.target as HTMLElement).closest<HTMLElement>('[data-node]');
    return element ? Number(element.dataset.node) : -1;
  };
  return (
    <div class="waterfall" style={{ '--name-width': `${nameWidth}%` }}>
      <div class="over">
        <Divider {...props} />
        <Minimap tree={tree} times={times} rows={rows} from={from} to={to} frame={frame} onWindow={props.onWindow} />
      </div>
      <div class="axis" aria-hidden="true">
        <div class="axis-name">{count(rows.length)} rows</div>
        <div class="axis-time">
          {marks.map((mark) => {
            const at = place(mark + times.from);
            return (
              <span key={mark} style={{ left: `${at}%` }} class={at > 93 ? 'end' : ''}>
                {duration(mark)}
              </span>
            );
          })}
        </div>
      </div>
      <VirtualList
        class="rows"
        role="treegrid"
        aria-label="Spans"
        aria-rowcount={rows.length}
        aria-activedescendant={props.selected >= 0 ? `row-${props.selected}` : undefined}
        tabIndex={0}
        count={rows.length}
        rowHeight={rowHeight}
        control={control}
        onRange={onRange}
        onClick={(event) => {
          const node = rowOf(event);
          if (node < 0) return;
          if ((event.target as HTMLElement).closest('.fold')) props.onToggle(node, event.shiftKey);
          else props.onSelect(node);
        }}
        onDblClick={(event) => {
          const node = rowOf(event);
          if (node >= 0) props.onToggle(node, event.shiftKey);
        }}
        onWheel={(event) => {
          if (!event.ctrlKey) return;
          event.preventDefault();
          const box = event.currentTarget.getBoundingClientRect();
          const edge = box.left + (box.width * nameWidth) / 100;
          const share = Math.max(0, Math.min(1, (event.clientX - edge) / (box.right - edge)));
          zoom(props, event.deltaY > 0 ? 1.25 : 0.8, share);
        }}
        row={rowAt}
      >
        <div class="lines" aria-hidden="true">
          <div>
            {marks.map((mark) => (
              <i key={mark} style={{ left: `${place(mark + times.from)}%` }} />
            ))}
          </div>
        </div>
      </VirtualList>
    </div>
  );
}

export function zoom({ times, from, to, onWindow }: Pick<WaterfallProps, 'times' | 'from' | 'to' | 'onWindow'>, factor: number, around = 0.5): void {
  const middle = from + (to - from) * around;
  const width = Math.max(10, Math.min(times.to - times.from, (to - from) * factor));
  const first = Math.max(times.from, Math.min(times.to - width, middle - width * around));
  onWindow(first, first + width);
}

// Between names and bars; dragged, or moved by arrow keys.
function Divider({ nameWidth, onNameWidth }: WaterfallProps) {
  const clamp = (percent: number) => Math.max(12, Math.min(75, percent));
  return (
    <div
      class="divider"
      role="separator"
      aria-orientation="vertical"
      aria-label="Width of the names"
      aria-valuenow={Math.round(nameWidth)}
      aria-valuemin={12}
      aria-valuemax={75}
      tabIndex={0}
      onKeyDown={(event) => {
        if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
        event.preventDefault();
        event.stopPropagation();
        onNameWidth(clamp(nameWidth + (event.key === 'ArrowLeft' ? -2 : 2)));
      }}
      onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
      onPointerMove={(event) => {
        if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
        const box = (event.currentTarget.closest('.waterfall') as HTMLElement).getBoundingClientRect();
        onNameWidth(clamp(((event.clientX - box.left) / box.width) * 100));
      }}
    />
  );
}

interface RowProps extends WaterfallProps {
  node: number;
  index: number;
  top: number;
  place: (time: number) => number;
}

const mostIndent = 24; // levels; deeper ones tell their depth by a number

function Row({ tree, times, node, index, top, collapsed, selected, matched, critical, baseDepth, place }: RowProps) {
  const flags = tree.flags[node];
  const ghost = (flags & GHOST) !== 0;
  const depth = tree.depth[node] - baseDepth;
  const kids = tree.size[node] - 1;
  const closed = collapsed.has(node);
  const service = ghost ? '' : tree.services[tree.service[node]];
  const start = times.start[node];
  const end = Math.max(start, times.end[node]);
  const left = place(start);
  const right = place(end);
  const before = right < 0;
  const after = left > 100;
  const from = Math.max(-1, left);
  const width = Math.min(101, right) - from;
  const error = tree.error[node] !== 0;
  const hiddenErrors = closed ? tree.errorsBelow[node] - tree.error[node] : 0;
  const took = ghost ? 'not received' : duration(times.end[node] - start);
  const label = right < 82 ? 'right' : left > 18 ? 'left' : 'inside';
  const pieces = [];
  if (critical && !before && !after) {
    for (let i = critical.first[node]; i < critical.first[node + 1]; i++) {
      const a = Math.max(0, place(critical.from[i]));
      const b = Math.min(100, place(critical.to[i]));
      if (b > a) pieces.push(<i key={i} class="critical" style={{ left: `${a}%`, width: `${b - a}%` }} />);
    }
  }
  return (
    <div
      id={`row-${node}`}
      data-node={node}
      role="row"
      aria-level={tree.depth[node] + 1}
      aria-rowindex={index + 1}
      aria-expanded={kids > 0 ? !closed : undefined}
      aria-selected={node === selected}
      class={`row${node === selected ? ' selected' : ''}${ghost ? ' ghost' : ''}${matched && !matched[node] ? ' dim' : ''}${matched?.[node] ? ' match' : ''}`}
      style={{ transform: `translateY(${top}px)` }}
    >
      <div class="cell-name" role="gridcell" style={{ paddingLeft: `${6 + Math.min(depth, mostIndent) * 13}px` }}>
        {depth > mostIndent && <span class="deep">{depth}</span>}
        {kids > 0 ? (
          <span class="fold" title={closed ? `Open ${count(kids)} below` : `Close ${count(kids)} below (Shift: this level)`}>
            {closed ? '▸' : '▾'}
          </span>
        ) : (
          <span class="fold none" />
        )}
        {ghost ? (
          <span class="label">
            <span class="sign bad">◌</span> absent parent <code>{tree.spanId[node]}</code>
          </span>
        ) : (
          <span class="label">
            <i class={`swatch c${colourOf(service)}`} />
            {error && (
              <span class="sign bad" title="status: error">
                ▲<span class="hidden">error</span>
              </span>
            )}
            {signs.map(([bit, sign, why]) =>
              flags & bit ? (
                <span key={sign} class="sign warn" title={why}>
                  {sign}
                  <span class="hidden">{why}</span>
                </span>
              ) : null,
            )}
            <bdi class="service-name">{clip(service, 80)}</bdi> <bdi class="op">{clip(tree.name[node] || '(no name)', 200)}</bdi>
          </span>
        )}
        {closed && (
          <span class="closed">
            {count(kids)}
            {hiddenErrors > 0 && <b> ▲{hiddenErrors}</b>}
          </span>
        )}
      </div>
      <div class="cell-time" role="gridcell">
        {before || after ? (
          <span class={`outside ${before ? 'left' : 'right'}`}>{before ? '‹' : '›'} {took}</span>
        ) : (
          <>
            <i class={`bar ${ghost ? 'absent' : `c${colourOf(service)}`}${error ? ' error' : ''}`} style={{ left: `${from}%`, width: `${width}%` }} />
            {pieces}
            <span
              class={`took ${label}`}
              style={label === 'right' ? { left: `${Math.max(0, right)}%` } : label === 'left' ? { right: `${100 - left}%` } : { left: `${Math.max(0, left)}%` }}
            >
              {took}
            </span>
          </>
        )}
      </div>
    </div>
  );
}
