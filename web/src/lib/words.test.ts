// Time, filter, route, colour, values: what is read and written as text.
import { describe, expect, it } from 'vitest';
import { colourOf, serviceColours } from './colour';
import { completing, formatCondition, parseFilter, toTraceQL } from './filter';
import { busiestEdges, completeGraph, filterGraph } from './graph';
import { clip, valueText, visible } from './otlp';
import { rank } from './rank';
import { formatRoute, parseRoute } from './route';
import { addNanos, ago, bytes, count, duration, moment, nanosSince, parseDuration, parseMoment, percent, ticks } from './time';

describe('time', () => {
  it('takes nanoseconds apart exactly', () => {
    expect(nanosSince('1760000000123456789', '1760000000123456788')).toBe(1);
    expect(nanosSince('1760000000000000000', '1759999999999999999')).toBe(1);
    expect(nanosSince('5', '7')).toBe(-2);
    expect(addNanos('1760000000123456789', 1)).toBe('1760000000123456790');
  });
  it.each([[0, '0'], [1, '1 ns'], [999, '999 ns'], [1500, '1.5 µs'], [32_030_000, '32 ms'], [1_234_000, '1.23 ms'], [999_999_999, '1 s'], [14_100_000_000, '14.1 s'], [125e9, '2 m 5 s'], [3600e9, '1 h'], [7199.9e9, '2 h'], [-1500, '−1.5 µs'], [NaN, '–']])('writes %d ns as %s', (nanos, text) => {
    expect(duration(nanos as number)).toBe(text);
  });
  it('reads durations, and nothing else', () => {
    expect(parseDuration('1.5s')).toBe(1.5e9);
    expect(parseDuration('1m 30s')).toBe(90e9);
    expect(parseDuration('250µs')).toBe(250e3);
    for (const bad of ['', '5', 's', '1 parsec', '1s2']) expect(parseDuration(bad)).toBeUndefined();
  });
  it('reads moments in the zone, with offsets, and Unix times', () => {
    const utc = { utc: true };
    expect(parseMoment('2025-10-09 08:53:20', utc)).toBe(1_760_000_000_000);
    expect(parseMoment('2025-10-09T10:53:20+02:00', { utc: false })).toBe(1_760_000_000_000);
    expect(parseMoment('1760000000', utc)).toBe(1_760_000_000_000);
    expect(parseMoment('1760000000123', utc)).toBe(1_760_000_000_123);
    expect(parseMoment('1760000000123456789', utc)).toBeCloseTo(1_760_000_000_123, 0);
    expect(moment(1_760_000_000_123, utc)).toBe('2025-10-09 08:53:20.123');
    for (const bad of ['', 'soon', '2025-13-01', '2025-10-09 25:00']) expect(parseMoment(bad, utc)).toBeUndefined();
  });
  it('says how long ago', () => {
    expect(ago(0, 5500)).toBe('5 s ago');
    expect(ago(0, 3_700_000)).toBe('1 h ago');
    expect(ago(9000, 0)).toBe('in 9 s');
  });
  it('chooses round steps that stay in the range', () => {
    expect(ticks(0, 14.1e9, 6)).toEqual([0, 5e9, 10e9]);
    expect(ticks(0, 100, 5)).toEqual([0, 20, 40, 60, 80, 100]);
    for (const span of [1, 7, 1e3, 3.3e6, 9e9, 61e9, 4000e9, 86400e9 * 3, 1e18]) {
      const marks = ticks(span / 3, span * 1.3, 6);
      expect(marks.length, String(span)).toBeLessThanOrEqual(7);
      for (const mark of marks) expect(mark >= span / 3 && mark <= span * 1.3, `${mark} of ${span}`).toBe(true);
    }
    expect(ticks(5, 5, 4)).toEqual([5]);
  });
  it('writes numbers for people', () => {
    expect([count(1234567), bytes(1536), bytes(10), percent(0), percent(0.00001), percent(0.0123), percent(0.5)]).toEqual(['1\u202f234\u202f567', '1.5 KiB', '10 B', '0 %', '< 0.1 %', '1.2 %', '50 %']);
  });
});

describe('filter', () => {
  const q = (filter: string) => toTraceQL({ filter });
  it('makes TraceQL of conditions', () => {
    expect(q('http.status_code>=500').q).toBe('{ .http.status_code >= 500 }');
    expect(q('a=b c!="d e"').q).toBe('{ .a = "b" && .c != "d e" }');
    expect(q('n=5').q).toBe('{ (.n = 5 || .n = "5") }');
    expect(q('n="5"').q).toBe('{ .n = "5" }');
    expect(q('resource.host.name=~web-.*').q).toBe('{ resource.host.name =~ "web-.*" }');
    expect(q('service=x status=error kind=server').q).toBe('{ resource.service.name = "x" && status = error && kind = server }');
    expect(q('duration>1.5s').q).toBe('{ duration > 1500ms }');
    expect(q('{ span.a = 1 || name = "x" }').q).toBe('{ span.a = 1 || name = "x" }');
    expect(toTraceQL({ service: 'a"b', operation: 'x', error: true, min: '10ms', max: '2m', filter: '{ .k = 1 || .l = 2 }' }).q).toBe('{ resource.service.name = "a\\"b" && name = "x" && status = error && traceDuration >= 10ms && traceDuration <= 120s && (.k = 1 || .l = 2) }');
    expect(toTraceQL({}).q).toBe('');
  });
  it('says what it cannot read', () => {
    for (const bad of ['=x', 'a', 'a=', 'a="b', '{ .a = 1', '"x"']) expect(q(bad).problem, bad).toBeTruthy();
    expect(toTraceQL({ min: 'long' }).problem).toContain('long');
  });
  it('round-trips a condition', () => {
    for (const value of ['x', 'two words', 'quo"te', 'back\\slash', '']) {
      const condition = { key: 'k.a', op: '=', value, quoted: true };
      expect(parseFilter(formatCondition(condition)).conditions).toEqual([condition]);
    }
  });
  it('knows what is being typed', () => {
    expect(completing('http.st', 7)).toEqual({ what: 'key', key: '', typed: 'http.st', from: 0, to: 7 });
    expect(completing('a=b http.method=GE', 18)).toEqual({ what: 'value', key: 'http.method', typed: 'GE', from: 16, to: 18 });
    expect(completing('a=b ', 4)).toEqual({ what: 'key', key: '', typed: '', from: 4, to: 4 });
    expect(completing('a="two wo', 9)).toEqual({ what: 'value', key: 'a', typed: 'two wo', from: 2, to: 9 });
    expect(completing('{ .a', 4)).toBeUndefined();
  });
});

describe('route', () => {
  it('round-trips', () => {
    const hash = formatRoute('search', '', { service: 'a b/c', f: 'x="1&2"', error: true, none: '', not: false });
    expect(parseRoute(hash)).toEqual({ page: 'search', argument: '', params: { service: 'a b/c', f: 'x="1&2"', error: '1' } });
    expect(parseRoute(formatRoute('service', 'naïve/ü%')).argument).toBe('naïve/ü%');
    expect(parseRoute('')).toEqual({ page: 'search', argument: '', params: {} });
    expect(parseRoute('#/trace/%zz').argument).toBe('%zz');
  });
});

describe('values', () => {
  it('show every type', () => {
    expect(valueText({ stringValue: 'a' })).toBe('a');
    expect(valueText({ intValue: '9223372036854775807' })).toBe('9223372036854775807');
    expect(valueText({ boolValue: false })).toBe('false');
    expect(valueText({ arrayValue: { values: [{ intValue: 1 }, { stringValue: 'x' }] } })).toBe('[1,"x"]');
    expect(valueText({ kvlistValue: { values: [{ key: 'k', value: { doubleValue: 1.5 } }] } })).toBe('{"k":1.5}');
    expect(valueText(undefined)).toBe('');
    expect(valueText({})).toBe('');
  });
  it('make controls and direction marks visible', () => {
    expect(visible('a\u0007b')).toBe('a‹0007›b');
    expect(visible('safe\u202egnp.exe')).toBe('safe‹202e›gnp.exe');
    expect(visible('日本語 עברית')).toBe('日本語 עברית');
    expect(clip('one\ntwo', 20)).toBe('one two');
    expect(clip('x'.repeat(50), 5)).toBe('xxxxx…');
  });
  it('take attribute colours from names alone', () => {
    expect(colourOf('frontend')).toBe(colourOf('frontend'));
    const used = new Set(Array.from({ length: 200 }, (_, i) => colourOf(`service-${i}`)));
    expect(used.size).toBe(serviceColours);
  });
});

describe('graph', () => {
  const figures = (calls: number) => ({ calls, errors: 0, p50Nano: '0', p95Nano: '0', p99Nano: '0' });
  const graph = completeGraph([{ service: 'b', ...figures(3) }, { service: 'c', ...figures(9) }, { service: 'd', ...figures(1) }], [
    { from: 'a', to: 'b', ...figures(3) },
    { from: 'b', to: 'c', ...figures(9) },
    { from: 'c', to: 'd', ...figures(1) },
  ]);
  it('has callers that nobody calls', () => {
    expect(graph.nodes.map((node) => node.service)).toEqual(['b', 'c', 'd', 'a']);
  });
  it('keeps a service and its neighbours, or the busiest', () => {
    const near = filterGraph(graph, 'b', 1, 10);
    expect(near.nodes.map((node) => node.service).sort()).toEqual(['a', 'b', 'c']);
    expect(near.edges).toHaveLength(2);
    const busy = filterGraph(graph, '', 1, 2);
    expect(busy.nodes.map((node) => node.service)).toEqual(['c', 'b']);
    expect(busy.left).toBe(2);
  });
});

describe('a graph of too many calls', () => {
  const edge = (from: string, to: string, calls: number) => ({ from, to, calls, errors: 0, p50Nano: '0', p95Nano: '0', p99Nano: '0' });
  it('keeps the busiest, and of each service one that enters it', () => {
    const edges = [edge('a', 'b', 9), edge('b', 'a', 8), edge('a', 'c', 1), edge('b', 'c', 2), edge('c', 'a', 7), edge('b', 'b', 99)];
    expect(busiestEdges(edges, 4).map((one) => `${one.from}${one.to}`)).toEqual(['ab', 'ba', 'bc', 'bb']);
    expect(busiestEdges(edges, 6)).toBe(edges);
  });
});

describe('completion', () => {
  it('puts what begins with the text first, and ends at its bound', () => {
    expect(rank(['a-cart', 'Cart', 'cart-b', 'dog'], 'CART', 9)).toEqual(['Cart', 'cart-b', 'a-cart']);
    expect(rank(['a-cart', 'Cart', 'cart-b', 'dog'], 'cart', 2)).toEqual(['Cart', 'cart-b']);
    expect(rank(['b', 'a'], '', 1)).toEqual(['b']);
  });
});
