// The sheet of keys.
import { useEffect, useRef } from 'preact/hooks';
import { helpOpen } from '../state';

const sheet: [string, [string, string][]][] = [
  ['Everywhere', [['?', 'this sheet'], ['Esc', 'closes what is open']]],
  [
    'Search',
    [
      ['/', 'the filter'],
      ['j k', 'next, previous trace'],
      ['Enter', 'opens it'],
      ['x', 'marks it for comparing'],
      ['l', 'live tail on and off'],
    ],
  ],
  [
    'Trace',
    [
      ['j k  ↓ ↑', 'next, previous row'],
      ['→ ←', 'opens, closes a row; to the child, to the parent'],
      ['/', 'finds spans'],
      ['n N', 'next, previous match'],
      ['e', 'next error'],
      ['f', 'only the subtree of this row; again: all'],
      ['c', 'critical path'],
      ['t', 'raw or corrected clocks'],
      ['v', 'the verdict'],
      ['1 2 3', 'waterfall, flame graph, statistics'],
      ['+ − 0', 'closer, wider, all of the time axis'],
      ['Shift ← →', 'along the time axis'],
      ['[ ]', 'closes, opens all rows'],
      ['y', 'copies the link'],
    ],
  ],
  [
    'Key-value store',
    [
      ['j k', 'next, previous key'],
      ['Enter', 'opens the folder or the key'],
      ['u', 'to the folder above'],
      ['/', 'the prefix'],
    ],
  ],
];

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onClose={() => (helpOpen.value = false)} onClick={(event) => event.target === dialog.current && (helpOpen.value = false)}>
      <div>
        <h2 id="help-title">Keys</h2>
        <button type="button" class="round" aria-label="Close" onClick={() => (helpOpen.value = false)}>
          ✕
        </button>
        {sheet.map(([title, keys]) => (
          <section key={title}>
            <h3>{title}</h3>
            <dl>
              {keys.map(([key, what]) => (
                <div key={key}>
                  <dt>
                    {key.split(' ').filter(Boolean).map((one) => (
                      <kbd key={one}>{one}</kbd>
                    ))}
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </dialog>
  );
}
