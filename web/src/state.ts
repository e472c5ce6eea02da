// What every page shares: the address, the reader's preferences, and who asks. The address is the state of the pages;
// only preferences are kept in the browser, and a token for this tab alone.
import { computed, signal } from '@preact/signals';
import { formatRoute, parseRoute, type Params } from './lib/route';

export const route = signal(parseRoute(location.hash));
let parsed = location.hash;
// The address is followed at once by whoever changes it here: the next key may come before the browser tells of the change.
function follow(): void {
  if (parsed === location.hash) return;
  parsed = location.hash;
  route.value = parseRoute(parsed);
}
addEventListener('hashchange', follow);

export function go(page: string, argument = '', params: Params = {}): void {
  location.hash = formatRoute(page, argument, params);
  follow();
}

// Changes parameters of this page. `replace` leaves no step behind for the back button.
export function setParams(changes: Params, replace = true): void {
  const { page, argument, params } = parseRoute(location.hash);
  const next = formatRoute(page, argument, { ...params, ...changes });
  if (next === location.hash) return;
  if (replace) history.replaceState(null, '', next);
  else location.hash = next;
  follow();
}

function kept(storage: () => Storage, name: string, fallback: string) {
  const read = () => {
    try {
      return storage().getItem(name) ?? fallback;
    } catch {
      return fallback; // a browser that keeps nothing
    }
  };
  const value = signal(read());
  return Object.assign(value, {
    keep(next: string) {
      value.value = next;
      try {
        storage().setItem(name, next);
      } catch {
        // Then it holds until the page is closed.
      }
    },
  });
}

export type Theme = 'auto' | 'light' | 'dark';
export const theme = kept(() => localStorage, 'clew.theme', 'auto');
export const zoneName = kept(() => localStorage, 'clew.zone', 'local');
export const tenant = kept(() => localStorage, 'clew.tenant', '');
export const token = kept(() => sessionStorage, 'clew.token', '');
export const zone = computed(() => ({ utc: zoneName.value === 'utc' }));

const dark = matchMedia('(prefers-color-scheme: dark)');
const systemDark = signal(dark.matches);
dark.addEventListener('change', () => {
  systemDark.value = dark.matches;
});
export const isDark = computed(() => theme.value === 'dark' || (theme.value === 'auto' && systemDark.value));

// The sheet of keys, open or not.
export const helpOpen = signal(false);

// What was copied or happened just now, said once to eyes and screen readers.
export const notice = signal('');
let noticeTimer = 0;
export function say(text: string): void {
  notice.value = text;
  clearTimeout(noticeTimer);
  noticeTimer = window.setTimeout(() => {
    notice.value = '';
  }, 2500);
}

export async function copy(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} copied`);
  } catch {
    say(`The browser did not allow copying ${what}`);
  }
}
