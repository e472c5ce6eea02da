// The one module that talks to the node. Every address is relative to the page, so a proxy's prefix does not matter.
import type { Cluster } from './lib/cluster';
import type { SkewEstimate } from './lib/tree';
import type { TracesData } from './lib/otlp';
import type { Figures, GraphEdge, GraphNode } from './lib/graph';
import { tenant, token } from './state';

export type State = 'active' | 'collecting' | 'complete' | 'timed_out';
export interface Summary {
  state: State;
  verdictVersion: string;
  rootSpanID: string | null;
  rootService: string;
  rootName: string;
  startTimeUnixNano: string;
  durationNano: string;
  spans: number;
  errors: number;
  orphans: number;
  services: number;
}
export interface Finding {
  kind: string;
  severity: 'info' | 'warning' | 'loss';
  count: number;
  spans: string[];
  detail: string;
}
export interface Verdict {
  state: State;
  version: string;
  sentence: string;
  decidedUnixNano: string;
  basis: string[];
  spans: number;
  lateSpans: number;
  orphans: number;
  roots: number;
  missingParents: string[];
  findings: Finding[];
  skew: SkewEstimate[];
}
export interface VerdictAnswer {
  traceID: string;
  summary: Summary;
  verdict: Verdict | null;
  history: Verdict[];
}
export interface TraceAnswer extends VerdictAnswer {
  trace: TracesData;
}
export interface Hit {
  traceID: string;
  summary: Summary;
  matched: number;
  spans: { spanID: string; service: string; name: string; startTimeUnixNano: string; durationNano: string }[];
}
export interface SearchPage {
  hits: Hit[];
  next: string | null;
}
export interface Covered {
  fromUnixNano: string;
  toUnixNano: string;
  coveredFromUnixNano: string;
  traces: number;
  truncated: boolean;
}
export interface ServicesAnswer extends Covered {
  services: GraphNode[];
  edges: GraphEdge[];
}
export interface RedAnswer extends Covered {
  service: string;
  operation: string;
  stepNano: string;
  total: Figures;
  points: Figures[];
  operations: (Figures & { operation: string })[];
  callers: (Figures & { service: string })[];
  callees: (Figures & { service: string })[];
}
export interface Stats {
  ready: boolean;
  diskFull: boolean;
  ingest: { acceptedSpans: string; duplicateSpans: string; refusedRequests: string; rejectedSpans: Record<string, string> };
  traces: { open: string; openRows: string; complete: string; timedOut: string; reopened: string };
  memory: { bytes: string; limitBytes: string };
  wal: { bytes: string; syncs: string; damagedRecords: string; tornBytes: string };
  store: { segments: string; traces: string; spans: string; bytes: string; damagedBlocks: string; compactions: string; expiredSegments: string; oldestArrivalUnixNano: string };
}
export interface Configuration {
  version: string;
  yaml: string;
}

// Bytes come as text where they are UTF-8, else as base64: bytesOf() in lib/bytes.ts.
export interface KvEntry {
  folder?: string;
  folderBase64?: string;
  key?: string;
  keyBase64?: string;
  createRevision?: string;
  modRevision?: string;
  version?: string;
  lease?: string | null;
}
export interface KvHead {
  revision: string; // of the store when it answered
  readRevision: string; // that the answer is of
  position: string;
  consistency: string;
}
export interface KvPage extends KvHead {
  entries: KvEntry[];
  next?: string | null;
  nextBase64?: string;
}
export interface KvValue extends KvHead {
  key?: string;
  keyBase64?: string;
  createRevision: string;
  modRevision: string;
  version: string;
  lease: string | null;
  valueBytes: number;
  value?: string;
  valueBase64?: string;
  truncated: boolean;
}
// For completion: the best names for what was typed; `truncated` when there are more.
export interface Names {
  names: string[];
  truncated: boolean;
}
export interface NamesAsked {
  of: 'services' | 'operations' | 'keys' | 'values';
  service?: string;
  key?: string;
  text?: string;
}

// `advice` says what a person can do about it.
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly advice: string,
  ) {
    super(message);
  }
}

function adviceFor(status: number): string {
  if (status === 0) return 'Is the node running, and reachable from this browser? The page asks again by itself.';
  if (status === 401) return 'This node wants a bearer token: enter it in the settings at the top right.';
  if (status === 403) return 'The token is good for another tenant: change the tenant in the settings at the top right.';
  if (status === 429 || status === 503) return 'The node is busy or stopping: the same request may well work in a moment.';
  if (status >= 500) return 'The node’s log says more.';
  return '';
}

function ask(path: string, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (token.value) headers.Authorization = `Bearer ${token.value}`;
  if (tenant.value) headers['X-Scope-OrgID'] = tenant.value;
  return fetch(`./${path}`, { headers, signal, credentials: 'same-origin' });
}

// What was asked before the page that needs it was drawn; good for one who asks the same.
let early: { path: string; answer: Promise<Response> } | undefined;

function askEarly(path: string): void {
  const answer = ask(path);
  answer.catch(() => undefined); // told to who takes it
  early = { path, answer };
}

async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  let response: Response;
  const before = early?.path === path ? early.answer : undefined;
  early = undefined;
  try {
    response = await (before ?? ask(path, signal));
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, 'UNREACHABLE', 'The node does not answer.', adviceFor(0));
  }
  if (!response.ok) {
    const text = (await response.text()).slice(0, 4000);
    let code = String(response.status);
    let message = text.trim() || response.statusText;
    try {
      const body = JSON.parse(text) as { error?: string | { code?: string; message?: string } };
      if (typeof body.error === 'string') message = body.error;
      else if (body.error?.message) {
        message = body.error.message;
        code = body.error.code ?? code;
      }
    } catch {
      // A proxy between here and the node answers in words of its own: they are shown as they are.
    }
    throw new ApiError(response.status, code, message, adviceFor(response.status));
  }
  return (await response.json()) as T;
}

function query(params: Record<string, string | number | undefined>): string {
  const text = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value !== undefined && value !== '') text.set(name, String(value));
  const all = text.toString();
  return all ? `?${all}` : '';
}

function ready(params: Record<string, string | undefined>): string {
  const parts = Object.entries(params).flatMap(([name, value]) => (value ? [`${name}=${value}`] : []));
  return parts.length ? `?${parts.join('&')}` : '';
}

export interface Range {
  since?: string;
  start?: string;
  end?: string;
}

export interface SearchAsked extends Range {
  q?: string;
  state?: string;
  finding?: string;
  limit?: number;
  cursor?: string;
}

const searchPath = (asked: SearchAsked) => `clew/v1/search${query({ ...asked })}`;
const tracePath = (id: string) => `clew/v1/traces/${encodeURIComponent(id)}`;

// Asked at once, for the page that is about to be drawn: its own request then takes this answer.
export const ahead = {
  search: (asked: SearchAsked) => askEarly(searchPath(asked)),
  trace: (id: string) => askEarly(tracePath(id)),
};

export const api = {
  search: (asked: SearchAsked, signal?: AbortSignal) => get<SearchPage>(searchPath(asked), signal),
  trace: (id: string, signal?: AbortSignal) => get<TraceAnswer>(tracePath(id), signal),
  verdict: (id: string, signal?: AbortSignal) => get<VerdictAnswer>(`clew/v1/traces/${encodeURIComponent(id)}/verdict`, signal),
  services: (range: Range & { filter?: string }, signal?: AbortSignal) => get<ServicesAnswer>(`clew/v1/services${query({ ...range })}`, signal),
  red: (asked: Range & { service: string; operation?: string; points?: number }, signal?: AbortSignal) => get<RedAnswer>(`clew/v1/red${query({ ...asked })}`, signal),
  stats: (signal?: AbortSignal) => get<Stats>('clew/v1/stats', signal),
  cluster: (signal?: AbortSignal) => get<Cluster>('api/clew/cluster', signal),
  config: (signal?: AbortSignal) => get<Configuration>('clew/v1/config', signal),
  names: ({ key, ...asked }: NamesAsked, signal?: AbortSignal) =>
    get<Names>(`clew/v1/names${query({ ...asked, key: key && (/^(span|resource)\.|^(name|status|kind)$/.test(key) ? key : key === 'service' ? 'resource.service.name' : `.${key}`) })}`, signal),
  // `asked` holds its bytes percent-encoded already, because they need not be text.
  keys: (asked: Record<string, string | undefined>, signal?: AbortSignal) => get<KvPage>(`api/clew/kv${ready(asked)}`, signal),
  value: (asked: Record<string, string | undefined>, signal?: AbortSignal) => get<KvValue>(`api/clew/kv${ready(asked)}`, signal),
  curl: (id: string) => {
    const headers = (tenant.value ? ` -H 'X-Scope-OrgID: ${tenant.value.replaceAll("'", '')}'` : '') + (token.value ? " -H 'Authorization: Bearer …'" : '');
    return `curl${headers} '${new URL(`./clew/v1/traces/${id}`, location.href.replace(/#.*/, '')).href}'`;
  },
};
