// Traces as points, duration (logarithmic) over time. The sign of a point is its state, as in the list: full complete,
// half incomplete, ring open; a triangle has errors. A click opens, dragging narrows the time range.
import type uPlot from 'uplot';
import { useMemo, useRef, useState } from 'preact/hooks';
import type { Hit } from '../api';
import { duration, millisOf, moment } from '../lib/time';
import { clip } from '../lib/otlp';
import { go, zone } from '../state';
import { Chart, durationAxis, durationRange, timeAxis, type Palette } from './chart';
import { rootTitle } from './common';

function draw(context: CanvasRenderingContext2D, hit: Hit, x: number, y: number, r: number, colours: Palette): void {
  const { state, errors } = hit.summary;
  const name = errors > 0 ? 'bad' : state === 'complete' ? 'state-complete' : state === 'timed_out' ? 'state-timed-out' : 'state-open';
  context.fillStyle = context.strokeStyle = colours.of(name);
  context.beginPath();
  if (errors > 0) {
    context.moveTo(x, y - r * 1.2);
    context.lineTo(x + r * 1.1, y + r * 0.8);
    context.lineTo(x - r * 1.1, y + r * 0.8);
    context.closePath();
    if (state === 'complete') context.fill();
    else context.stroke();
  } else if (state === 'complete') {
    context.arc(x, y, r * 0.85, 0, 7);
    context.fill();
  } else {
    context.arc(x, y, r, 0, 7);
    context.stroke();
    if (state === 'timed_out') {
      context.beginPath();
      context.arc(x, y, r, Math.PI, 0);
      context.fill();
    }
  }
}

export interface ScatterProps {
  hits: Hit[];
  from?: number; // milliseconds
  to?: number;
  more: boolean; // older traces are there and not loaded
  onSelect: (fromMs: number, toMs: number) => void;
}

export function Scatter({ hits, from, to, more, onSelect }: ScatterProps) {
  const current = useRef<{ hits: Hit[]; xs: number[]; ys: number[]; more: boolean }>({ hits, xs: [], ys: [], more });
  const [near, setNear] = useState<{ hit: Hit; left: number; top: number }>();
  const data = useMemo<uPlot.AlignedData>(() => {
    // uPlot wants time to go up; hits come newest first.
    const sorted = [...hits].reverse();
    const xs = sorted.map((hit) => millisOf(hit.summary.startTimeUnixNano) / 1e3);
    const ys = sorted.map((hit) => Math.max(1e3, Number(hit.summary.durationNano)));
    current.current = { hits: sorted, xs, ys, more };
    return [xs, ys];
  }, [hits, more]);
  const bounds = useRef({ from, to });
  bounds.current = { from, to };
  const nearest = (plot: uPlot): number => {
    const { left = -1, top = -1 } = plot.cursor;
    const { xs, ys } = current.current;
    let best = -1;
    let bestDistance = 12 ** 2;
    if (left < 0) return best;
    for (let i = 0; i < xs.length; i++) {
      const distance = (plot.valToPos(xs[i], 'x') - left) ** 2 + (plot.valToPos(ys[i], 'y') - top) ** 2;
      if (distance < bestDistance) [best, bestDistance] = [i, distance];
    }
    return best;
  };
  return (
    <div class="scatter">
      <Chart
        label={`${hits.length} traces, duration over time. The list below holds the same traces.`}
        height={150}
        data={data}
        onSelect={(fromSeconds, toSeconds) => onSelect(fromSeconds * 1e3, toSeconds * 1e3)}
        onReady={(plot) => {
          plot.over.addEventListener('click', () => {
            const at = nearest(plot);
            if (at >= 0) go('trace', current.current.hits[at].traceID);
          });
          plot.over.addEventListener('mouseleave', () => setNear(undefined));
        }}
        options={(colours) => ({
          scales: {
            x: {
              // By the traces themselves: uPlot's own extent of a lone point is years wide.
              range: (_plot, low, high) => {
                const { xs } = current.current;
                const min = bounds.current.from === undefined ? (xs[0] ?? low) : bounds.current.from / 1e3;
                const max = bounds.current.to === undefined ? (xs[xs.length - 1] ?? high) : bounds.current.to / 1e3;
                const pad = Math.max(0.05, (max - min) * 0.01);
                return [min - pad, max + pad];
              },
            },
            y: { distr: 3, range: durationRange },
          },
          axes: [timeAxis(colours), durationAxis(colours)],
          series: [
            {},
            {
              paths: (plot) => {
                const context = plot.ctx;
                const { hits: shown, xs, ys, more: older } = current.current;
                const ratio = devicePixelRatio;
                context.save();
                if (older && xs.length) {
                  const edge = plot.valToPos(xs[0], 'x', true);
                  if (edge > plot.bbox.left) {
                    context.fillStyle = colours.of('veil');
                    context.fillRect(plot.bbox.left, plot.bbox.top, edge - plot.bbox.left, plot.bbox.height);
                    context.fillStyle = colours.quiet;
                    context.font = `${11 * ratio}px system-ui, sans-serif`;
                    context.textAlign = 'right';
                    if (edge - plot.bbox.left > 150 * ratio) context.fillText('older: scroll the list to load', edge - 8 * ratio, plot.bbox.top + 14 * ratio);
                  }
                }
                context.lineWidth = 1.5 * ratio;
                for (let i = 0; i < shown.length; i++) draw(context, shown[i], plot.valToPos(xs[i], 'x', true), plot.valToPos(ys[i], 'y', true), 4 * ratio, colours);
                context.restore();
                return null;
              },
              points: { show: false },
            },
          ],
          cursor: { y: false, points: { show: false } },
          hooks: {
            setCursor: [
              (plot) => {
                const at = nearest(plot);
                plot.over.style.cursor = at >= 0 ? 'pointer' : 'crosshair';
                const { xs, ys, hits: shown } = current.current;
                setNear(at < 0 ? undefined : { hit: shown[at], left: plot.valToPos(xs[at], 'x') + plot.over.offsetLeft, top: plot.valToPos(ys[at], 'y') + plot.over.offsetTop });
              },
            ],
          },
        })}
        shape={`${from ?? ''}:${to ?? ''}`}
      />
      {near && (
        <div class={`tip${near.left > 500 ? ' to-left' : ''}`} style={{ left: `${near.left}px`, top: `${near.top}px` }}>
          <strong>{clip(rootTitle(near.hit.summary), 80)}</strong>
          <br />
          {duration(Number(near.hit.summary.durationNano))}, {near.hit.summary.spans} spans, {near.hit.summary.errors} errors
          <br />
          <span class="quiet">{moment(millisOf(near.hit.summary.startTimeUnixNano), zone.value)}</span>
        </div>
      )}
    </div>
  );
}
