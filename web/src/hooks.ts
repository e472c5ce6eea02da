// Hooks that pages share: loading with cancellation, keys, sizes.
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError, type Names, type NamesAsked } from './api';
import { tenant, token } from './state';

export interface Loaded<T> {
  data?: T;
  error?: ApiError;
  loading: boolean;
  again: () => void;
}

// Loads when `key` changes; the former data stays until the new is there. A node that does not answer is asked again.
export function useLoad<T>(key: string | undefined, load: (signal: AbortSignal) => Promise<T>, everyMs = 0): Loaded<T> {
  const [state, setState] = useState<{ key?: string; data?: T; error?: ApiError; loading: boolean }>({ loading: key !== undefined });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (key === undefined) return undefined;
    const abort = new AbortController();
    let timer = 0;
    const retry = (ms: number) => {
      timer = window.setTimeout(() => setTurn((n) => n + 1), ms);
    };
    setState((old) => ({ ...old, loading: true }));
    load(abort.signal).then(
      (data) => {
        if (abort.signal.aborted) return;
        setState({ key, data, loading: false });
        if (everyMs > 0) retry(everyMs);
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        const known = error instanceof ApiError ? error : new ApiError(-1, 'PAGE', error instanceof Error ? error.message : String(error), 'The answer could not be read.');
        setState((old) => ({ key, data: old.key === key ? old.data : undefined, error: known, loading: false }));
        if (known.status === 0 || known.status === 503) retry(3000);
      },
    );
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [key, turn]);
  return { data: state.data, error: state.error, loading: state.loading, again: () => setTurn((n) => n + 1) };
}

export interface NamesFound {
  names: string[];
  more: boolean; // than are listed
  loading: boolean;
  known?: Names; // the first of all of them, whatever was typed
  onTyped: (text: string) => void;
  again: () => void;
}

const typingMs = 120;

// Names for completion. A short list is asked for once; of a long one the node is asked for what fits what is typed.
export function useNames(asked: NamesAsked | undefined): NamesFound {
  const [typed, setTyped] = useState('');
  const timer = useRef(0);
  const who = `${tenant.value}\n${token.value}`;
  const key = asked && JSON.stringify([asked, who]);
  const all = useLoad<Names>(key, (signal) => api.names(asked as NamesAsked, signal));
  const text = all.data?.truncated ? typed.trim() : '';
  const fitting = useLoad<Names>(key && text ? `${key}\n${text}` : undefined, (signal) => api.names({ ...(asked as NamesAsked), text }, signal));
  const shown = asked && (text ? (fitting.data ?? all.data) : all.data);
  return {
    names: shown?.names ?? [],
    more: shown?.truncated ?? false,
    loading: all.loading || (text !== '' && fitting.loading),
    known: all.data,
    onTyped: (next) => {
      clearTimeout(timer.current);
      timer.current = window.setTimeout(() => setTyped(next), typingMs);
    },
    again: all.again,
  };
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

// What `value` has been for `ms`: of something that is typed.
export function useSettled<T>(value: T, ms: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

// Keys of a page: by `event.key`. Not while somebody types or a dialog is open, nor with Ctrl, Alt or Meta.
export function useKeys(keys: Record<string, (event: KeyboardEvent) => void>): void {
  const current = useRef(keys);
  current.current = keys;
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented || document.querySelector('dialog[open]')) return;
      if (typing(event.target) && event.key !== 'Escape') return;
      const run = current.current[event.key];
      if (!run) return;
      event.preventDefault();
      run(event);
    };
    addEventListener('keydown', listen);
    return () => removeEventListener('keydown', listen);
  }, []);
}

// The size of an element, followed.
export function useSize<E extends HTMLElement>(): [(element: E | null) => void, { width: number; height: number }, { current: E | null }] {
  const [size, setSize] = useState({ width: 0, height: 0 });
  const element = useRef<E | null>(null);
  const observer = useRef<ResizeObserver>();
  const attach = useRef((next: E | null) => {
    observer.current?.disconnect();
    element.current = next;
    if (!next) return;
    const measure = () => setSize((old) => (old.width === next.clientWidth && old.height === next.clientHeight ? old : { width: next.clientWidth, height: next.clientHeight }));
    observer.current = new ResizeObserver(measure);
    observer.current.observe(next);
    measure();
  });
  return [attach.current, size, element];
}
