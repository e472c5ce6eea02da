// uPlot in a component: made once per shape, fed with data after that. Colours come from the page's custom properties,
// so a chart follows the theme.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useEffect, useRef } from 'preact/hooks';
import { duration, moment } from '../lib/time';
import { isDark, zone } from '../state';
import { useSize } from '../hooks';

export interface Palette {
  ink: string;
  quiet: string;
  line: string;
  of: (name: string) => string;
}

export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return { ink: of('ink'), quiet: of('ink-quiet'), line: of('line'), of };
}

export interface ChartProps {
  label: string;
  height: number;
  data: uPlot.AlignedData;
  // Anew for each theme and each `shape`.
  options: (palette: Palette) => Partial<uPlot.Options>;
  shape?: string;
  onSelect?: (fromSeconds: number, toSeconds: number) => void;
  onReady?: (chart: uPlot) => void;
}

export function Chart({ label, height, data, options, shape = '', onSelect, onReady }: ChartProps) {
  const [attach, size, element] = useSize<HTMLDivElement>();
  const chart = useRef<uPlot>();
  const select = useRef(onSelect);
  select.current = onSelect;
  useEffect(() => {
    if (!element.current || size.width === 0) return undefined;
    const given = options(palette());
    const made = new uPlot(
      {
        width: size.width,
        height,
        legend: { show: false },
        padding: [8, 8, 0, 0],
        tzDate: (seconds: number) => (zone.value.utc ? uPlot.tzDate(new Date(seconds * 1e3), 'Etc/UTC') : new Date(seconds * 1e3)),
        ...given,
        cursor: { drag: { x: true, y: false, setScale: false }, ...given.cursor },
        series: given.series ?? [{}],
        hooks: {
          ...given.hooks,
          setSelect: [
            (plot: uPlot) => {
              if (plot.select.width < 4) return;
              const from = plot.posToVal(plot.select.left, 'x');
              const to = plot.posToVal(plot.select.left + plot.select.width, 'x');
              plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              select.current?.(from, to);
            },
          ],
        },
      } as uPlot.Options,
      data,
      element.current,
    );
    chart.current = made;
    onReady?.(made);
    return () => {
      made.destroy();
      chart.current = undefined;
    };
  }, [size.width > 0, height, isDark.value, zone.value.utc, shape]);
  useEffect(() => chart.current?.setData(data), [data]);
  useEffect(() => {
    if (size.width > 0) chart.current?.setSize({ width: size.width, height });
  }, [size.width]);
  return <div class="chart" role="img" aria-label={label} ref={attach} style={{ height: `${height}px` }} />;
}

// Moments under a time axis, as short as their distance allows; the first of a day names it.
function timeLabels(_plot: uPlot, splits: number[], _axis: number, _space: number, step: number): string[] {
  let day = '';
  return splits.map((seconds) => {
    const [date, clock] = moment(seconds * 1e3, zone.value).split(' ');
    const same = date === day;
    day = date;
    if (step >= 86400) return date.slice(5);
    const text = step >= 60 ? clock.slice(0, 5) : step >= 1 ? clock.slice(0, 8) : clock.slice(6);
    return same || step < 60 ? text : `${date.slice(5)} ${text}`;
  });
}

export function timeAxis(colours: Palette): uPlot.Axis {
  return axis(colours, { size: 26, space: 90, values: timeLabels });
}

// Durations on a logarithmic axis: a line and a label a decade.
export function durationAxis(colours: Palette): uPlot.Axis {
  const decades = (_plot: uPlot, _axis: number, low: number, high: number) => {
    const first = Math.ceil(Math.log10(low) - 1e-9);
    return Array.from({ length: Math.max(1, Math.floor(Math.log10(high) + 1e-9) - first + 1) }, (_one, n) => 10 ** (first + n));
  };
  return axis(colours, { size: 56, splits: decades, filter: (_plot, splits) => splits, values: (_plot, splits) => splits.map((one, n) => (splits.length > 5 && n % 2 ? '' : duration(one))) });
}

export function durationRange(_plot: uPlot, low: number | null, high: number | null): [number, number] {
  return [10 ** Math.floor(Math.log10(Math.max(1e3, low || 1e6))), 10 ** Math.ceil(Math.log10(Math.max(1e4, high || 1e9) * 1.01))];
}

// The look of an axis, in the page's colours.
export function axis({ quiet, line }: Palette, more: Partial<uPlot.Axis> = {}): uPlot.Axis {
  return {
    stroke: quiet,
    font: '11px system-ui, sans-serif',
    grid: { stroke: line, width: 1 },
    ticks: { stroke: line, width: 1, size: 4 },
    gap: 4,
    ...more,
  };
}
