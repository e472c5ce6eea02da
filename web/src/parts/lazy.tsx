// Pages that are loaded when they are first opened. (Preact's own lazy comes with its React layer, which is larger than
// this page's need of it.)
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';

export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let known: ComponentType<P> | undefined;
  return function Lazy(props: P) {
    const [Found, setFound] = useState<ComponentType<P> | undefined>(() => known);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (Found) return;
      load().then(
        (component) => {
          known = component;
          setFound(() => component);
        },
        () => setFailed(true),
      );
    }, []);
    if (failed) {
      return (
        <div class="problem" role="alert">
          <strong>A part of the page could not be loaded</strong>
          <p class="quiet">The node does not answer, or it was updated meanwhile.</p>
          <button type="button" onClick={() => location.reload()}>
            Load the page anew
          </button>
        </div>
      );
    }
    return Found ? <Found {...props} /> : <p class="loading">Loading…</p>;
  };
}
