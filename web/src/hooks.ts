// Hooks that pages share: loading with cancellation, keys, sizes.
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from './api';

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

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
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
