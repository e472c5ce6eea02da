// Bytes that are mostly text: keys and values of the key-value store. People see and type them as text; what is no
// UTF-8, and what drives a terminal, as \xNN, a backslash as \\. So every key can be shown, typed and put in a link.

const encoder = new TextEncoder();
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

// As the API tells bytes: text where they are UTF-8, else base64.
export function bytesOf(text: string | undefined, base64: string | undefined): Uint8Array {
  if (text !== undefined) return encoder.encode(text);
  return Uint8Array.from(atob(base64 ?? ''), (char) => char.charCodeAt(0));
}

// The text that the bytes are, or nothing when they are no UTF-8.
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

const hex = (byte: number) => byte.toString(16).padStart(2, '0');

// How many bytes of a character of UTF-8 stand at `at`; 0: none does.
function characterAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at];
  const length = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  return length > 0 && textOf(bytes.subarray(at, at + length)) !== undefined ? length : 0;
}

export function showBytes(bytes: Uint8Array): string {
  let out = '';
  for (let at = 0; at < bytes.length; ) {
    const length = characterAt(bytes, at);
    const control = bytes[at] < 0x20 || bytes[at] === 0x7f || (length === 2 && bytes[at] === 0xc2 && bytes[at + 1] < 0xa0);
    if (length === 0 || control) {
      for (let n = 0; n < Math.max(1, length); n++) out += `\\x${hex(bytes[at + n])}`;
    } else if (bytes[at] === 0x5c) {
      out += '\\\\';
    } else {
      out += textOf(bytes.subarray(at, at + length)) as string;
    }
    at += Math.max(1, length);
  }
  return out;
}

// What showBytes() wrote, or a person typed: another backslash stands for itself.
export function parseBytes(text: string): Uint8Array {
  const out: number[] = [];
  let plain = '';
  const flush = () => {
    for (const byte of encoder.encode(plain)) out.push(byte);
    plain = '';
  };
  for (let at = 0; at < text.length; at++) {
    const escaped = /^\\x([0-9a-fA-F]{2})/.exec(text.slice(at, at + 4));
    if (escaped) {
      flush();
      out.push(Number.parseInt(escaped[1], 16));
      at += 3;
    } else if (text.startsWith('\\\\', at)) {
      plain += '\\';
      at++;
    } else {
      plain += text[at];
    }
  }
  flush();
  return Uint8Array.from(out);
}

// For the query of an address, which may carry any bytes.
export function percent(bytes: Uint8Array): string {
  let out = '';
  for (const byte of bytes) out += /[A-Za-z0-9_.~/-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `%${hex(byte).toUpperCase()}`;
  return out;
}

// Offset, sixteen bytes, and those of them that are printable ASCII, a line each.
export function hexDump(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const part = [...bytes.subarray(at, at + 16)];
    const left = part.map((byte, n) => (n === 8 ? ` ${hex(byte)}` : hex(byte))).join(' ');
    lines.push(`${at.toString(16).padStart(6, '0')}  ${left.padEnd(49)}  ${part.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '·')).join('')}`);
  }
  return lines.join('\n');
}

export type ValueView = 'text' | 'json' | 'hex';

// The views that a value has, the best first. A value that is cut may end within a character: that is left out.
export function viewsOf(bytes: Uint8Array, cut: boolean): { view: ValueView; text: string }[] {
  const views: { view: ValueView; text: string }[] = [];
  let text = textOf(bytes);
  for (let back = 1; text === undefined && cut && back < 4; back++) text = textOf(bytes.subarray(0, bytes.length - back));
  if (text !== undefined) {
    views.push({ view: 'text', text });
    if (!cut && /^\s*[[{]/.test(text)) {
      try {
        views.unshift({ view: 'json', text: JSON.stringify(JSON.parse(text), null, 2) });
      } catch {
        // It only begins like JSON.
      }
    }
  }
  const dump = { view: 'hex' as const, text: hexDump(bytes) };
  // Text full of controls is bytes to a reader.
  if (text === undefined || /[\u0000-\u0008\u000e-\u001f]/.test(text)) views.unshift(dump);
  else views.push(dump);
  return views;
}

// The way to a prefix: the folders above it, and it.
export function crumbs(prefix: string, delimiter = '/'): { name: string; prefix: string }[] {
  const parts = prefix.split(delimiter);
  const all: { name: string; prefix: string }[] = [];
  let way = '';
  parts.forEach((part, index) => {
    const last = index === parts.length - 1;
    if (last && part === '') return;
    way += last ? part : part + delimiter;
    all.push({ name: last ? part : part + delimiter, prefix: way });
  });
  return all;
}
