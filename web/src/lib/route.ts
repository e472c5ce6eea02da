// The address holds all state: `#/page/argument?name=value`. Names without a value are left out; order is kept.
export interface Route {
  page: string;
  argument: string;
  params: Record<string, string>;
}

export function parseRoute(hash: string): Route {
  const text = hash.replace(/^#?\/?/, '');
  const question = text.indexOf('?');
  const path = question === -1 ? text : text.slice(0, question);
  const [page = '', ...rest] = path.split('/');
  const params: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(question === -1 ? '' : text.slice(question + 1))) params[name] = value;
  return { page: decode(page) || 'search', argument: decode(rest.join('/')), params };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export type Params = Record<string, string | number | boolean | undefined | null>;

export function formatRoute(page: string, argument = '', params: Params = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== null && value !== '' && value !== false) query.set(name, value === true ? '1' : String(value));
  }
  const text = query.toString().replaceAll('%3A', ':').replaceAll('%2F', '/');
  return `#/${page}${argument ? `/${encodeURIComponent(argument)}` : ''}${text ? `?${text}` : ''}`;
}
