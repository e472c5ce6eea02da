// Nanosecond times cross as strings. A time here is a pair (base, offset): the base is the string of a trace's first
// moment, the offset a double of nanoseconds, exact for 104 days around it.

// `text` minus `base`, in nanoseconds. Both are decimal strings of Unix nanoseconds.
export function nanosSince(text: string, base: string): number {
  const seconds = (one: string) => Number(one.length > 9 ? one.slice(0, -9) : '0');
  const rest = (one: string) => Number(one.length > 9 ? one.slice(-9) : one);
  return (seconds(text) - seconds(base)) * 1e9 + (rest(text) - rest(base));
}

export function addNanos(base: string, offset: number): string {
  return (BigInt(base) + BigInt(Math.round(offset))).toString();
}

export function millisOf(nanos: string): number {
  return nanosSince(nanos, '0') / 1e6;
}

const units: [number, string][] = [
  [86400e9, 'd'],
  [3600e9, 'h'],
  [60e9, 'm'],
  [1e9, 's'],
  [1e6, 'ms'],
  [1e3, 'µs'],
  [1, 'ns'],
];

// Three digits that matter: "1.23 ms", "36.1 s", "2 h 5 m".
export function duration(nanos: number): string {
  if (!Number.isFinite(nanos)) return '–';
  const sign = nanos < 0 ? '−' : '';
  const size = Math.abs(nanos);
  if (size === 0) return '0';
  if (size >= 60e9) {
    const at = units.findIndex(([unit]) => size >= unit);
    const [unit, name] = units[at];
    const [below, belowName] = units[at + 1];
    let whole = Math.floor(size / unit);
    let rest = Math.round((size - whole * unit) / below);
    if (rest * below >= unit) {
      whole += 1;
      rest = 0;
    }
    return `${sign}${whole} ${name}${rest ? ` ${rest} ${belowName}` : ''}`;
  }
  const [unit, name] = units.find(([one]) => size >= one * 0.9995) ?? units[units.length - 1];
  const value = size / unit;
  const digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${sign}${trimZeros(value.toFixed(digits))} ${name}`;
}

function trimZeros(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

const goUnits: Record<string, number> = { ns: 1, us: 1e3, 'µs': 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9, d: 86400e9 };

// "1.5s", "1m30s", "200 ms"; nothing when it is no duration.
export function parseDuration(text: string): number | undefined {
  const compact = text.replace(/\s+/g, '');
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d))+$/.test(compact)) return undefined;
  let total = 0;
  for (const [, number, , unit] of compact.matchAll(/(\d+(\.\d+)?)(ns|us|µs|ms|s|m|h|d)/g)) total += Number(number) * goUnits[unit];
  return total;
}

// As the API reads it: a Go duration without days.
export function goDuration(nanos: number): string {
  if (nanos % 1e6 !== 0) return `${Math.round(nanos)}ns`;
  return nanos % 1e9 === 0 ? `${nanos / 1e9}s` : `${nanos / 1e6}ms`;
}

const two = (n: number) => String(n).padStart(2, '0');

export interface Zone {
  utc: boolean;
}

// "2026-11-21 15:04:05.123" in the reader's zone or in UTC.
export function moment(millis: number, zone: Zone, withMillis = true): string {
  const at = new Date(millis);
  if (Number.isNaN(at.getTime())) return '–';
  const [year, month, day, hour, minute, second, ms] = zone.utc
    ? [at.getUTCFullYear(), at.getUTCMonth() + 1, at.getUTCDate(), at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds(), at.getUTCMilliseconds()]
    : [at.getFullYear(), at.getMonth() + 1, at.getDate(), at.getHours(), at.getMinutes(), at.getSeconds(), at.getMilliseconds()];
  return `${year}-${two(month)}-${two(day)} ${two(hour)}:${two(minute)}:${two(second)}${withMillis ? `.${String(ms).padStart(3, '0')}` : ''}`;
}

// What a person types: "2026-11-21 15:04", "2026-11-21T15:04:05Z", a Unix time in s, ms or ns. Milliseconds, or nothing.
export function parseMoment(text: string, zone: Zone): number | undefined {
  const trimmed = text.trim();
  if (/^\d{9,19}$/.test(trimmed)) {
    const n = Number(trimmed);
    return trimmed.length <= 11 ? n * 1e3 : trimmed.length <= 14 ? n : n / 1e6;
  }
  const match = /^(\d{4})-(\d\d?)-(\d\d?)(?:[T ](\d\d?):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:?\d\d)?$/.exec(trimmed);
  if (!match) return undefined;
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '0', offset] = match;
  const ms = Number(`0.${fraction}`) * 1e3;
  const parts = [Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second)] as const;
  if (parts[1] > 11 || parts[2] < 1 || parts[2] > 31 || parts[3] > 24 || parts[4] > 59 || parts[5] > 60) return undefined;
  if (!offset && !zone.utc) return new Date(...parts).getTime() + ms;
  let at = Date.UTC(...parts) + ms;
  if (offset && offset !== 'Z') at -= (offset[0] === '-' ? -1 : 1) * (Number(offset.slice(1, 3)) * 60 + Number(offset.slice(-2))) * 60e3;
  return at;
}

// "12 s ago", "3 h ago"; in the future "in 5 s".
export function ago(millis: number, now: number): string {
  const passed = now - millis;
  if (Math.abs(passed) < 1000) return 'now';
  const text = duration(Math.floor(Math.abs(passed) / 1000) * 1e9).replace(/^(\d+ [a-z]+) .*/, '$1');
  return passed < 0 ? `in ${text}` : `${text} ago`;
}

// Round steps for an axis from `from` to `to`: at most `most` of them, in 1-2-5 steps of ns, or of clock units above.
export function ticks(from: number, to: number, most: number): number[] {
  const span = to - from;
  if (!(span > 0) || most < 1) return [from];
  const rough = span / most;
  const clock = [1, 2, 5, 10, 15, 30].flatMap((n) => [n * 1e9, n * 60e9]).concat([3600e9, 2 * 3600e9, 6 * 3600e9, 12 * 3600e9, 86400e9]);
  let step: number;
  if (rough >= 1e9 && rough <= 86400e9) {
    step = clock.sort((a, b) => a - b).find((one) => one >= rough) ?? 86400e9;
  } else {
    const unit = rough > 86400e9 ? 86400e9 : 1;
    const power = 10 ** Math.floor(Math.log10(rough / unit));
    step = unit * power * ([1, 2, 5, 10].find((n) => unit * n * power >= rough) ?? 10);
  }
  const all: number[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to && all.length <= most + 1; at += step) all.push(at === 0 ? 0 : at);
  return all;
}

export function count(n: number): string {
  return n.toLocaleString('en').replaceAll(',', '\u202f');
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

export function bytes(n: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let at = 0;
  let value = n;
  while (value >= 1024 && at < names.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${at === 0 ? value : trimZeros(value.toFixed(value >= 99.95 ? 0 : 1))} ${names[at]}`;
}

export function percent(share: number): string {
  if (share === 0) return '0 %';
  if (share < 0.001) return '< 0.1 %';
  return `${trimZeros((share * 100).toFixed(share < 0.1 ? 1 : 0))} %`;
}
