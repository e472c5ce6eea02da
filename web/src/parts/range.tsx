// The time range: quick ones that end now, or two moments. In the address: `since`, or `start` and `end` in Unix
// milliseconds.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Range } from '../api';
import { duration, moment, parseDuration, parseMoment } from '../lib/time';
import { zone } from '../state';

export const quick: [string, string][] = [
  ['5m', 'last 5 minutes'],
  ['15m', 'last 15 minutes'],
  ['1h', 'last hour'],
  ['6h', 'last 6 hours'],
  ['24h', 'last day'],
  ['168h', 'last 7 days'],
  ['all', 'all times'],
];

export interface AskedRange {
  since: string;
  start: string;
  end: string;
}

export function rangeOf(params: Record<string, string>): AskedRange {
  const { start = '', end = '' } = params;
  const since = start || end ? '' : params.since || '1h';
  return { since, start: /^\d{1,16}$/.test(start) ? start : '', end: /^\d{1,16}$/.test(end) ? end : '' };
}

export function apiRange({ since, start, end }: AskedRange): Range {
  if (since) return since === 'all' ? {} : { since };
  return { start: start && `${start}000000`, end: end && `${end}000000` };
}

// In milliseconds; open ends are undefined.
export function boundsOf({ since, start, end }: AskedRange, now: number): [number | undefined, number | undefined] {
  if (since) {
    const nanos = since === 'all' ? undefined : parseDuration(since);
    return nanos === undefined ? [undefined, undefined] : [now - nanos / 1e6, now];
  }
  return [start ? Number(start) : undefined, end ? Number(end) : undefined];
}

export function RangePicker({ range, onChange }: { range: AskedRange; onChange: (range: AskedRange) => void }) {
  const [open, setOpen] = useState(false);
  const [from, setFrom] = useState('');
  const [to, setTo] = useState('');
  const [problem, setProblem] = useState('');
  const box = useRef<HTMLDivElement>(null);
  const one = zone.value;
  useEffect(() => {
    if (!open) return undefined;
    const [start, end] = boundsOf(range, Date.now());
    setFrom(start === undefined ? '' : moment(start, one, false));
    setTo(end === undefined || range.since ? '' : moment(end, one, false));
    setProblem('');
    const away = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    addEventListener('pointerdown', away);
    return () => removeEventListener('pointerdown', away);
  }, [open]);
  const label = range.since
    ? (quick.find(([since]) => since === range.since)?.[1] ?? `last ${range.since}`)
    : `${range.start ? moment(Number(range.start), one, false) : '…'} → ${range.end ? moment(Number(range.end), one, false).slice(range.start ? 11 : 0) : 'now'}`;
  const [start, end] = boundsOf(range, 0);
  return (
    <div class="range" ref={box} onKeyDown={(event) => event.key === 'Escape' && setOpen(false)}>
      <button type="button" aria-expanded={open} onClick={() => setOpen(!open)} title={start !== undefined && end !== undefined && !range.since ? duration((end - start) * 1e6) : undefined}>
        <span aria-hidden="true">◷</span> {label} <span aria-hidden="true">▾</span>
      </button>
      {open && (
        <div class="popover" role="group" aria-label="Time range">
          <div class="quick">
            {quick.map(([since, text]) => (
              <button
                key={since}
                type="button"
                class="small"
                aria-pressed={range.since === since}
                onClick={() => {
                  setOpen(false);
                  onChange({ since, start: '', end: '' });
                }}
              >
                {text}
              </button>
            ))}
          </div>
          <form
            onSubmit={(event) => {
              event.preventDefault();
              const first = from.trim() ? parseMoment(from, one) : undefined;
              const last = to.trim() ? parseMoment(to, one) : undefined;
              if ((from.trim() && first === undefined) || (to.trim() && last === undefined)) return setProblem('Write a time such as 2026-11-21 15:04 or 2026-11-21T15:04:05Z.');
              if (first !== undefined && last !== undefined && first >= last) return setProblem('The beginning must be before the end.');
              setOpen(false);
              onChange(first === undefined && last === undefined ? { since: 'all', start: '', end: '' } : { since: '', start: first === undefined ? '' : String(Math.floor(first)), end: last === undefined ? '' : String(Math.ceil(last)) });
            }}
          >
            <label>
              From <input value={from} placeholder="the beginning" onInput={(event) => setFrom(event.currentTarget.value)} />
            </label>
            <label>
              To <input value={to} placeholder="now" onInput={(event) => setTo(event.currentTarget.value)} />
            </label>
            <p class="quiet">{one.utc ? 'UTC' : 'local time'}; an offset such as Z or +02:00 is understood</p>
            {problem && (
              <p class="bad" role="alert">
                {problem}
              </p>
            )}
            <button type="submit">Use</button>
          </form>
        </div>
      )}
    </div>
  );
}
