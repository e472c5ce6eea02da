// The whole trace at a glance, above the waterfall: dragging chooses a window of time; what is in view is framed.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Times, Tree } from '../lib/tree';
import { colourOf } from '../lib/colour';
import { duration } from '../lib/time';
import { useSize } from '../hooks';
import { isDark } from '../state';
import { palette } from './chart';

const height = 56;
const mostDrawn = 6000;

export interface MinimapProps {
  tree: Tree;
  times: Times;
  rows: Int32Array;
  from: number; // the window of time
  to: number;
  frame: { current: HTMLDivElement | null }; // of the rows in view; moved by the waterfall
  onWindow: (from: number, to: number) => void;
}

export function Minimap({ tree, times, rows, from, to, frame, onWindow }: MinimapProps) {
  const [attach, size, box] = useSize<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [drag, setDrag] = useState<[number, number]>();
  const extent = times.to - times.from;
  useEffect(() => {
    const element = canvas.current;
    if (!element || size.width === 0) return;
    const ratio = devicePixelRatio || 1;
    element.width = Math.round(size.width * ratio);
    element.height = Math.round(height * ratio);
    const context = element.getContext('2d') as CanvasRenderingContext2D;
    const colours = palette();
    const services = tree.services.map((name) => colours.of(`service-${colourOf(name)}`));
    const bad = colours.of('bad');
    const stride = Math.max(1, Math.ceil(rows.length / mostDrawn));
    const line = Math.max(ratio, Math.min(4 * ratio, (element.height / rows.length) * 0.8));
    for (let at = 0; at < rows.length; at++) {
      const node = rows[at];
      const error = tree.error[node] !== 0;
      if (at % stride !== 0 && !error) continue;
      const x = ((times.start[node] - times.from) / extent) * element.width;
      const width = Math.max(ratio, ((times.end[node] - times.start[node]) / extent) * element.width);
      const y = (at / rows.length) * (element.height - line);
      context.fillStyle = error ? bad : node < tree.spans ? services[tree.service[node]] : colours.quiet;
      context.globalAlpha = error ? 1 : node < tree.spans ? 0.75 : 0.35;
      context.fillRect(x, y, width, line);
    }
  }, [tree, times, rows, size.width, isDark.value]);
  const at = (event: PointerEvent) => {
    const place = (box.current as HTMLDivElement).getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - place.left) / place.width));
  };
  const left = ((from - times.from) / extent) * 100;
  const right = ((to - times.from) / extent) * 100;
  return (
    <div
      class="minimap"
      ref={attach}
      style={{ height: `${height}px` }}
      role="img"
      aria-label={`The whole trace, ${duration(extent)}; shown: ${duration(from - times.from)} to ${duration(to - times.from)}`}
      title="Drag to choose a window of time; double click for all of it"
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        setDrag([at(event), at(event)]);
      }}
      onPointerMove={(event) => drag && setDrag([drag[0], at(event)])}
      onPointerUp={() => {
        if (!drag) return;
        const [first, last] = drag[0] < drag[1] ? drag : [drag[1], drag[0]];
        setDrag(undefined);
        if (last - first > 0.005) onWindow(times.from + first * extent, times.from + last * extent);
      }}
      onDblClick={() => onWindow(times.from, times.to)}
    >
      <canvas ref={canvas} aria-hidden="true" />
      <div class="shade" style={{ left: 0, width: `${left}%` }} />
      <div class="shade" style={{ left: `${right}%`, right: 0 }} />
      {drag && <div class="dragging" style={{ left: `${Math.min(...drag) * 100}%`, width: `${Math.abs(drag[1] - drag[0]) * 100}%` }} />}
      <div class="frame" ref={frame} />
    </div>
  );
}
