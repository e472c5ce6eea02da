// The flame graph: spans of one path of names together, as wide as their time. A click goes into a frame.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { flameGraph, type Frame } from '../lib/analysis';
import { colourOf } from '../lib/colour';
import { clip } from '../lib/otlp';
import { count, duration, percent, plural } from '../lib/time';
import type { Times, Tree } from '../lib/tree';
import { useSize } from '../hooks';
import { isDark } from '../state';
import { palette } from './chart';

const rowHeight = 22;

export function Flame({ tree, times, onSelect }: { tree: Tree; times: Times; onSelect: (node: number) => void }) {
  const frames = useMemo(() => flameGraph(tree, times), [tree, times]);
  const [top, setTop] = useState(-1);
  const [at, setAt] = useState(-1);
  const [attach, size] = useSize<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    setTop(-1);
    setAt(-1);
  }, [frames]);
  // Ancestors of the frame that was entered fill the width; what is beside them is left out.
  const shown = useMemo(() => {
    const whole = top === -1 ? { x: 0, width: 1 } : frames[top];
    const above = new Set<number>();
    for (let one = top === -1 ? -1 : frames[top].parent; one !== -1; one = frames[one].parent) above.add(one);
    const list: { frame: Frame; id: number; x: number; width: number }[] = [];
    frames.forEach((frame, id) => {
      if (above.has(id)) list.push({ frame, id, x: 0, width: 1 });
      else if (frame.x >= whole.x - 1e-12 && frame.x + frame.width <= whole.x + whole.width + 1e-12 && (top === -1 || frame.depth >= frames[top].depth)) {
        list.push({ frame, id, x: (frame.x - whole.x) / (whole.width || 1), width: frame.width / (whole.width || 1) });
      }
    });
    return list;
  }, [frames, top]);
  const depth = 1 + shown.reduce((most, { frame }) => Math.max(most, frame.depth), 0);
  const height = Math.min(12_000, depth * rowHeight);
  useEffect(() => {
    const element = canvas.current;
    if (!element || size.width === 0) return;
    const ratio = devicePixelRatio || 1;
    element.width = Math.round(size.width * ratio);
    element.height = Math.round(height * ratio);
    const context = element.getContext('2d') as CanvasRenderingContext2D;
    context.scale(ratio, ratio);
    const colours = palette();
    context.font = '12px system-ui, sans-serif';
    context.textBaseline = 'middle';
    for (const { frame, id, x, width } of shown) {
      const left = x * size.width;
      const w = width * size.width - 1;
      if (w < 0.3) continue;
      const y = frame.depth * rowHeight;
      context.fillStyle = frame.service < 0 ? colours.line : colours.of(`service-${colourOf(tree.services[frame.service])}`);
      context.globalAlpha = id === at ? 1 : 0.82;
      context.fillRect(left, y, Math.max(0.6, w), rowHeight - 1);
      context.globalAlpha = 1;
      if (frame.errors > 0) {
        context.fillStyle = colours.of('bad');
        context.fillRect(left, y + rowHeight - 4, Math.max(0.6, w), 3);
      }
      if (w > 34) {
        context.fillStyle = colours.of('on-service');
        context.save();
        context.beginPath();
        context.rect(left, y, w - 4, rowHeight);
        context.clip();
        context.fillText(`${frame.errors ? '▲ ' : ''}${clip(frame.name || '(no name)', 120)}`, left + 5, y + rowHeight / 2);
        context.restore();
      }
    }
  }, [shown, size.width, at, isDark.value]);
  const find = (event: MouseEvent) => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width;
    const row = Math.floor((event.clientY - box.top) / rowHeight);
    return shown.find(({ frame, x: left, width }) => frame.depth === row && x >= left && x < left + width)?.id ?? -1;
  };
  const frame = at === -1 ? (top === -1 ? undefined : frames[top]) : frames[at];
  return (
    <div class="flame">
      <p class="hint" role="status">
        {frame ? (
          <>
            <b>{clip(frame.name || '(no name)', 120)}</b> {frame.service >= 0 && tree.services[frame.service]} · {plural(frame.spans, 'span')} · {duration(frame.value)} ({percent(frame.value / (frames.reduce((sum, one) => sum + (one.parent === -1 ? one.value : 0), 0) || 1))}), self {duration(frame.self)}
            {frame.errors > 0 && <b class="bad"> · ▲ {count(frame.errors)}</b>}
          </>
        ) : (
          <span class="quiet">Spans of one path of names count together. Click goes into a frame, double click to one of its spans.</span>
        )}
        {top !== -1 && (
          <button type="button" class="small" onClick={() => setTop(-1)}>
            all
          </button>
        )}
      </p>
      <div class="flame-box" ref={attach} role="img" aria-label={`Flame graph of ${frames.length} frames; the statistics tell the same as a table`}>
        <canvas
          ref={canvas}
          style={{ height: `${height}px` }}
          onMouseMove={(event) => setAt(find(event))}
          onMouseLeave={() => setAt(-1)}
          onClick={(event) => {
            const id = find(event);
            if (id >= 0) setTop(id === top ? frames[id].parent : id);
          }}
          onDblClick={(event) => {
            const id = find(event);
            if (id >= 0) onSelect(frames[id].node);
          }}
        />
      </div>
    </div>
  );
}
