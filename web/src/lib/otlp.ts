// OTLP JSON as the own API returns it, and its values as text. 64-bit numbers and times come as strings.

export interface AnyValue {
  stringValue?: string;
  boolValue?: boolean;
  intValue?: string | number;
  doubleValue?: number | string;
  bytesValue?: string;
  arrayValue?: { values?: AnyValue[] };
  kvlistValue?: { values?: KeyValue[] };
}
export interface KeyValue {
  key: string;
  value?: AnyValue;
}
export interface SpanEvent {
  timeUnixNano?: string;
  name?: string;
  attributes?: KeyValue[];
  droppedAttributesCount?: number;
}
export interface SpanLink {
  traceId: string;
  spanId: string;
  traceState?: string;
  attributes?: KeyValue[];
  flags?: number;
}
export interface OtlpSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name?: string;
  kind?: number;
  flags?: number;
  traceState?: string;
  startTimeUnixNano?: string;
  endTimeUnixNano?: string;
  attributes?: KeyValue[];
  events?: SpanEvent[];
  links?: SpanLink[];
  status?: { code?: number; message?: string };
  droppedAttributesCount?: number;
  droppedEventsCount?: number;
  droppedLinksCount?: number;
}
export interface Resource {
  attributes?: KeyValue[];
  droppedAttributesCount?: number;
}
export interface Scope {
  name?: string;
  version?: string;
  attributes?: KeyValue[];
}
export interface TracesData {
  resourceSpans?: { resource?: Resource; schemaUrl?: string; scopeSpans?: { scope?: Scope; schemaUrl?: string; spans?: OtlpSpan[] }[] }[];
}

export const kindNames = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'];
export const statusNames = ['unset', 'ok', 'error'];

export function valueType(value: AnyValue | undefined): string {
  if (!value) return 'empty';
  if (value.stringValue !== undefined) return 'string';
  if (value.boolValue !== undefined) return 'bool';
  if (value.intValue !== undefined) return 'int';
  if (value.doubleValue !== undefined) return 'double';
  if (value.bytesValue !== undefined) return 'bytes';
  if (value.arrayValue) return 'array';
  if (value.kvlistValue) return 'map';
  return 'empty';
}

// Plain JSON of a value, for showing and copying.
function plain(value: AnyValue | undefined): unknown {
  if (!value) return null;
  if (value.stringValue !== undefined) return value.stringValue;
  if (value.boolValue !== undefined) return value.boolValue;
  if (value.intValue !== undefined) return typeof value.intValue === 'number' ? value.intValue : Number(value.intValue);
  if (value.doubleValue !== undefined) return value.doubleValue;
  if (value.bytesValue !== undefined) return value.bytesValue;
  if (value.arrayValue) return (value.arrayValue.values ?? []).map(plain);
  if (value.kvlistValue) return Object.fromEntries((value.kvlistValue.values ?? []).map((entry) => [entry.key, plain(entry.value)]));
  return null;
}

export function valueText(value: AnyValue | undefined): string {
  if (!value) return '';
  if (value.stringValue !== undefined) return value.stringValue;
  if (value.intValue !== undefined) return String(value.intValue);
  if (value.arrayValue || value.kvlistValue) return JSON.stringify(plain(value));
  const one = plain(value);
  return one === null ? '' : String(one);
}

export function attribute(attributes: KeyValue[] | undefined, key: string): string | undefined {
  const found = attributes?.find((entry) => entry.key === key);
  return found && valueText(found.value);
}

// Characters that would change how the text around them reads: controls, and the marks that turn its direction. They
// are shown as what they are, never obeyed.
const odd = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

export function visible(text: string): string {
  return odd.test(text) ? text.replace(odd, (char) => `‹${char.charCodeAt(0).toString(16).padStart(4, '0')}›`) : text;
}

// One line of at most `most` characters.
export function clip(text: string, most: number): string {
  const short = text.length > most ? `${text.slice(0, most)}…` : text;
  return visible(short).replace(/\s+/g, ' ');
}
