// Traces by hand for the tests: span(id, parent, service, start ms, end ms, more).
import type { OtlpSpan, TracesData } from './otlp';

const base = 1_760_000_000_000n;

export interface Made extends OtlpSpan {
  service: string;
  host?: string;
}

export function span(id: string, parent: string, service: string, start: number, end: number, more: Partial<Made> = {}): Made {
  const nanos = (ms: number) => ((base + 0n) * 1_000_000n + BigInt(Math.round(ms * 1e6))).toString();
  return { traceId: 'ab', spanId: id, parentSpanId: parent, name: `op-${id}`, kind: 1, startTimeUnixNano: nanos(start), endTimeUnixNano: nanos(end), service, ...more };
}

export function traces(...spans: Made[]): TracesData {
  return {
    resourceSpans: spans.map(({ service, host, ...one }) => ({
      resource: { attributes: [{ key: 'service.name', value: { stringValue: service } }, ...(host ? [{ key: 'host.name', value: { stringValue: host } }] : [])] },
      scopeSpans: [{ scope: {}, spans: [one] }],
    })),
  };
}

// A small seeded generator (mulberry32): tests repeat.
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
