import { describe, expect, it } from 'vitest';
import { bytesOf, crumbs, hexDump, parseBytes, percent, showBytes, viewsOf } from './bytes';

const bytes = (...all: number[]) => Uint8Array.from(all);
const ascii = (text: string) => new TextEncoder().encode(text);

describe('bytes of the key-value store', () => {
  it('come as text or as base64', () => {
    expect(bytesOf('é', undefined)).toEqual(bytes(0xc3, 0xa9));
    expect(bytesOf(undefined, '/wA=')).toEqual(bytes(0xff, 0));
    expect(bytesOf('', undefined)).toEqual(bytes());
  });

  it('are shown and read back, whatever they are', () => {
    expect(showBytes(ascii('a/b é日本'))).toBe('a/b é日本');
    expect(showBytes(bytes(0xff, 0x41, 0, 0x5c, 0xc2, 0x85, 0xe6, 0x97))).toBe('\\xffA\\x00\\\\\\xc2\\x85\\xe6\\x97');
    for (let seed = 1; seed < 300; seed++) {
      let state = seed;
      const made = Uint8Array.from({ length: seed % 40 }, () => (state = (state * 1103515245 + 12345) & 0x7fffffff) >> 16);
      expect(parseBytes(showBytes(made))).toEqual(made);
    }
    expect(parseBytes('C:\\new \\xZZ')).toEqual(ascii('C:\\new \\xZZ'));
  });

  it('go into an address', () => {
    expect(percent(bytes(0x61, 0x2f, 0x20, 0xff, 0x26, 0x2b))).toBe('a/%20%FF%26%2B');
  });

  it('are dumped in lines of sixteen', () => {
    expect(hexDump(ascii('0123456789abcdefX\n'))).toBe('000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66   0123456789abcdef\n' + `000010  ${'58 0a'.padEnd(49)}  X·`);
  });

  it('have the views that fit them, the best first', () => {
    const names = (value: Uint8Array, cut = false) => viewsOf(value, cut).map((one) => one.view);
    expect(names(ascii('{"a":1}'))).toEqual(['json', 'text', 'hex']);
    expect(names(ascii('{"a":1'))).toEqual(['text', 'hex']);
    expect(names(ascii('{"a":1}'), true)).toEqual(['text', 'hex']);
    expect(names(bytes(0xff, 0xfe))).toEqual(['hex']);
    expect(names(bytes(1, 2, 3))).toEqual(['hex', 'text']);
    expect(viewsOf(ascii('日本').subarray(0, 5), true)[0]).toEqual({ view: 'text', text: '日' });
    expect(viewsOf(ascii('[1,2]'), false)[0].text).toBe('[\n  1,\n  2\n]');
  });

  it('know the way to a prefix', () => {
    expect(crumbs('')).toEqual([]);
    expect(crumbs('a/b/')).toEqual([
      { name: 'a/', prefix: 'a/' },
      { name: 'b/', prefix: 'a/b/' },
    ]);
    expect(crumbs('/a/pre')).toEqual([
      { name: '/', prefix: '/' },
      { name: 'a/', prefix: '/a/' },
      { name: 'pre', prefix: '/a/pre' },
    ]);
  });
});
