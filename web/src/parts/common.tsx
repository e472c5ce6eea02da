// Small parts: states, errors, icons, chips.
import type { ComponentChildren, JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { ApiError, State, Summary } from '../api';
import { colourOf } from '../lib/colour';
import { clip } from '../lib/otlp';
import { copy } from '../state';

// Each state has a sign, a word and a colour: any one of the three is enough.
const states: Record<State, { sign: string; word: string }> = {
  complete: { sign: '●', word: 'complete' },
  timed_out: { sign: '◓', word: 'incomplete' },
  collecting: { sign: '◔', word: 'collecting' },
  active: { sign: '○', word: 'active' },
};
export const stateExplained: Record<State, string> = {
  complete: 'a root, no missing parent, quiet, and no other evidence of loss',
  timed_out: 'the timeout passed, and it is still not whole',
  collecting: 'quiet, but not whole: what is missing may still come',
  active: 'spans are arriving',
};

export function StateBadge({ state, large }: { state: State; large?: boolean }) {
  const known = states[state] ?? { sign: '?', word: state };
  return (
    <span class={`state state-${state}${large ? ' large' : ''}`} title={stateExplained[state]}>
      <span class="sign" aria-hidden="true">
        {known.sign}
      </span>
      {known.word}
    </span>
  );
}

export function Service({ name, plain }: { name: string; plain?: boolean }) {
  return (
    <span class="service" title={name}>
      <i class={`swatch c${colourOf(name)}`} aria-hidden="true" />
      <bdi class={plain ? '' : 'service-name'}>{clip(name || '(no service name)', 200)}</bdi>
    </span>
  );
}

export function Problem({ error, again }: { error: ApiError; again?: () => void }) {
  return (
    <div class="problem" role="alert">
      <strong>{error.status === 0 ? 'The node does not answer' : error.status === 404 ? 'Not found' : 'That did not work'}</strong>
      <p>{clip(error.message, 2000)}</p>
      {error.advice && <p class="quiet">{error.advice}</p>}
      {again && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

export function CopyButton({ text, what, children }: { text: string | (() => string); what: string; children: ComponentChildren }) {
  return (
    <button type="button" class="small" title={`Copy ${what}`} onClick={() => void copy(typeof text === 'string' ? text : text(), what)}>
      {children}
    </button>
  );
}

export function rootTitle(summary: Summary): string {
  return `${summary.rootService || '(no service name)'}: ${summary.rootName || '(no name)'}`;
}

export function Errors({ n }: { n: number }) {
  if (n === 0) return null;
  return (
    <span class="errors" title={`${n} ${n === 1 ? 'span has' : 'spans have'} the status error`}>
      <span aria-hidden="true">▲</span> {n} {n === 1 ? 'error' : 'errors'}
    </span>
  );
}

// A field whose value stands elsewhere and changes when Enter is pressed or the field is left. What is being typed stays
// when the page is drawn anew meanwhile.
export function Field({ value, commit, ...rest }: { value: string; commit: (text: string) => void } & Omit<JSX.IntrinsicElements['input'], 'value'>) {
  const [typed, setTyped] = useState<string>();
  return (
    <input
      {...rest}
      value={typed ?? value}
      onInput={(event) => setTyped(event.currentTarget.value)}
      onChange={(event) => {
        setTyped(undefined);
        commit(event.currentTarget.value.trim());
      }}
      onBlur={() => setTyped(undefined)}
    />
  );
}
