// The filter that a person types: conditions on attributes, `key=value key!=value key>5 key=~regex`, values with blanks
// in double quotes. It becomes TraceQL; what is between braces is taken as TraceQL as it stands.
import { goDuration, parseDuration } from './time';

export interface Condition {
  key: string;
  op: string;
  value: string;
  quoted: boolean;
}
export interface Filter {
  conditions: Condition[];
  traceql: string; // the inside of { … }
  problem?: string; // what cannot be read, for people
}

const operators = ['!=', '=~', '!~', '>=', '<=', '=', '>', '<', ':'];

export function parseFilter(text: string): Filter {
  const trimmed = text.trim();
  if (trimmed.startsWith('{')) {
    if (!trimmed.endsWith('}')) return { conditions: [], traceql: '', problem: 'the closing } is missing' };
    return { conditions: [], traceql: trimmed.slice(1, -1).trim() };
  }
  const conditions: Condition[] = [];
  let at = 0;
  while (at < trimmed.length) {
    if (trimmed[at] === ' ') {
      at += 1;
      continue;
    }
    const key = /^[^\s=!<>~:"]+/.exec(trimmed.slice(at))?.[0];
    if (!key) return { conditions, traceql: '', problem: `“${trimmed.slice(at, at + 12)}”: a condition begins with the name of an attribute` };
    at += key.length;
    const op = operators.find((one) => trimmed.startsWith(one, at));
    if (!op) return { conditions, traceql: '', problem: `“${key}”: write ${key}=value, or another of = != > >= < <= =~ !~` };
    at += op.length;
    let value = '';
    let quoted = false;
    if (trimmed[at] === '"') {
      quoted = true;
      at += 1;
      while (at < trimmed.length && trimmed[at] !== '"') {
        if (trimmed[at] === '\\' && at + 1 < trimmed.length) at += 1;
        value += trimmed[at];
        at += 1;
      }
      if (at >= trimmed.length) return { conditions, traceql: '', problem: `the closing quote after ${key}${op} is missing` };
      at += 1;
    } else {
      value = /^\S*/.exec(trimmed.slice(at))?.[0] ?? '';
      at += value.length;
    }
    if (value === '' && !quoted) return { conditions, traceql: '', problem: `${key}${op} needs a value` };
    conditions.push({ key, op: op === ':' ? '=' : op, value, quoted });
  }
  return { conditions, traceql: '' };
}

export function formatCondition({ key, op, value, quoted }: Condition): string {
  return `${key}${op}${quoted || /[\s"]/.test(value) || value === '' ? quote(value) : value}`;
}

export function quote(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

const intrinsics = new Set(['name', 'kind', 'status', 'duration', 'traceDuration', 'rootName', 'rootServiceName', 'statusMessage']);

function field(key: string): string {
  if (key === 'service') return 'resource.service.name';
  if (intrinsics.has(key) || /^(span|resource)\./.test(key)) return key;
  return `.${key}`;
}

function compile({ key, op, value, quoted }: Condition): string {
  const name = field(key);
  if (key === 'status' || key === 'kind') return `${name} ${op} ${value.replace(/[^a-z]/gi, '').toLowerCase()}`;
  if (/duration$/i.test(key) && intrinsics.has(key)) {
    const nanos = parseDuration(value);
    return `${name} ${op} ${nanos === undefined ? value : goDuration(nanos)}`;
  }
  const text = `${name} ${op} ${quote(value)}`;
  if (quoted || op === '=~' || op === '!~' || intrinsics.has(key)) return text;
  const number = /^-?\d+(\.\d+)?$/.test(value);
  if (op === '>' || op === '<' || op === '>=' || op === '<=') return number ? `${name} ${op} ${value}` : text;
  // Without quotes a value may be of either type.
  if (number || value === 'true' || value === 'false') {
    return op === '=' ? `(${name} = ${value} || ${text})` : `(${name} != ${value} && ${text})`;
  }
  return text;
}

export interface SpanConditions {
  service?: string;
  operation?: string;
  filter?: string;
  min?: string; // duration of the trace
  max?: string;
  error?: boolean;
}

// One spanset filter for the API, or '' when nothing is asked. A problem comes back as text.
export function toTraceQL(asked: SpanConditions): { q: string; problem?: string } {
  const parts: string[] = [];
  if (asked.service) parts.push(`resource.service.name = ${quote(asked.service)}`);
  if (asked.operation) parts.push(`name = ${quote(asked.operation)}`);
  if (asked.error) parts.push('status = error');
  for (const [text, op] of [[asked.min, '>='], [asked.max, '<=']] as const) {
    if (!text) continue;
    const nanos = parseDuration(text);
    if (nanos === undefined) return { q: '', problem: `“${text}” is no duration: write 250ms, 1.5s or 2m` };
    parts.push(`traceDuration ${op} ${goDuration(nanos)}`);
  }
  if (asked.filter) {
    const filter = parseFilter(asked.filter);
    if (filter.problem) return { q: '', problem: filter.problem };
    parts.push(...filter.conditions.map(compile));
    if (filter.traceql) parts.push(parts.length ? `(${filter.traceql})` : filter.traceql);
  }
  return { q: parts.length ? `{ ${parts.join(' && ')} }` : '' };
}

// What could stand at the caret: names of attributes, or values of one.
export interface Completing {
  what: 'key' | 'value';
  key: string;
  typed: string;
  from: number; // the part of the text that a choice replaces
  to: number;
}

export function completing(text: string, caret: number): Completing | undefined {
  if (text.trim().startsWith('{')) return undefined;
  let from = caret;
  let inQuotes = false;
  for (let i = 0; i < caret; i++) if (text[i] === '"' && text[i - 1] !== '\\') inQuotes = !inQuotes;
  while (from > 0 && (text[from - 1] !== ' ' || inQuotes)) {
    from -= 1;
    if (inQuotes && text[from] === '"' && text[from - 1] !== '\\') inQuotes = false;
  }
  let to = caret;
  while (to < text.length && text[to] !== ' ') to += 1;
  const token = text.slice(from, caret);
  const match = /^([^\s=!<>~:"]+)(!=|=~|!~|>=|<=|=|>|<|:)(.*)$/s.exec(token);
  if (!match) return { what: 'key', key: '', typed: token, from, to };
  return { what: 'value', key: match[1], typed: match[3].replace(/^"|"$/g, ''), from: from + match[1].length + match[2].length, to };
}
