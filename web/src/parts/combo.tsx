// A text field that completes: arrow keys choose, Enter or Tab takes, Escape closes. What is typed is never changed
// without being asked. Options come from outside, of long lists those that fit what is typed; the field shows the best
// `most` of them and says when there are more.
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import type { NamesFound } from '../hooks';
import { visible } from '../lib/otlp';
import { rank } from '../lib/rank';

const most = 50;

export interface ComboProps {
  label: string;
  value: string;
  placeholder?: string;
  found: NamesFound;
  // The part of the text that is being typed at the caret, and what a choice does to it. Without: the whole text.
  part?: (text: string, caret: number) => { typed: string; from: number; to: number } | undefined;
  accept?: (option: string, part: { typed: string; from: number; to: number }) => string;
  onCaret?: (text: string, caret: number) => void;
  onChange: (text: string) => void;
  onFocus?: () => void;
  inputId?: string;
  invalid?: boolean;
  describedBy?: string;
  class?: string;
}

export function Combo(props: ComboProps) {
  const [text, setText] = useState(props.value);
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const [caret, setCaret] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  useEffect(() => setText(props.value), [props.value]);
  const whole = { typed: text, from: 0, to: text.length };
  const part = props.part ? props.part(text, caret) : whole;
  // A field that holds what was chosen shows all options, to choose another.
  const typed = part && !props.part && text === props.value ? '' : (part?.typed ?? '');
  const { names, more, loading, onTyped } = props.found;
  const shown = part && open ? rank(names, typed, most) : [];
  useEffect(() => {
    if (open) onTyped(typed);
  }, [typed, open]);
  const commit = (next: string) => {
    if (next !== props.value) props.onChange(next);
  };
  const take = (option: string) => {
    if (!part) return;
    const next = props.accept ? props.accept(option, part) : option;
    setText(next);
    setAt(-1);
    if (props.part) {
      setCaret(next.length);
      props.onCaret?.(next, next.length);
      input.current?.focus();
    } else {
      setOpen(false);
      commit(next);
    }
  };
  useEffect(() => {
    if (at >= 0) document.getElementById(`${id}-${at}`)?.scrollIntoView({ block: 'nearest' });
  }, [at]);
  const caretMoved = (event: { currentTarget: HTMLInputElement }) => {
    const next = event.currentTarget.selectionStart ?? event.currentTarget.value.length;
    setCaret(next);
    props.onCaret?.(event.currentTarget.value, next);
  };
  return (
    <div class={`combo ${props.class ?? ''}`}>
      <input
        ref={input}
        id={props.inputId}
        value={text}
        placeholder={props.placeholder}
        aria-label={props.label}
        role="combobox"
        aria-expanded={open && shown.length > 0}
        aria-controls={`${id}-list`}
        aria-activedescendant={at >= 0 && at < shown.length ? `${id}-${at}` : undefined}
        aria-autocomplete="list"
        aria-invalid={props.invalid}
        aria-describedby={props.describedBy}
        spellcheck={false}
        autocomplete="off"
        autocapitalize="off"
        onFocus={(event) => {
          props.onFocus?.();
          setOpen(true);
          caretMoved(event);
        }}
        onClick={() => setOpen(true)}
        onKeyUp={caretMoved}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setOpen(true);
          setAt(-1);
          caretMoved(event);
        }}
        onBlur={() => {
          setOpen(false);
          setAt(-1);
          commit(text.trim());
        }}
        onKeyDown={(event) => {
          if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
            event.preventDefault();
            setOpen(true);
            const step = event.key === 'ArrowDown' ? 1 : -1;
            setAt(shown.length ? (at + step + (at < 0 && step < 0 ? 1 : 0) + shown.length) % shown.length : -1);
          } else if ((event.key === 'Enter' || event.key === 'Tab') && open && at >= 0 && at < shown.length) {
            event.preventDefault();
            take(shown[at]);
          } else if (event.key === 'Enter') {
            event.preventDefault();
            setOpen(false);
            commit(text.trim());
          } else if (event.key === 'Escape' && open) {
            event.stopPropagation();
            setOpen(false);
          }
        }}
      />
      {text && (
        <button
          type="button"
          class="clear"
          tabIndex={-1}
          aria-label={`Clear ${props.label}`}
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => {
            setText('');
            commit('');
          }}
        >
          ✕
        </button>
      )}
      {open && (shown.length > 0 || loading) && (
        <ul id={`${id}-list`} role="listbox" aria-label={props.label} class="options">
          {shown.map((option, index) => (
            <li
              key={option}
              id={`${id}-${index}`}
              role="option"
              aria-selected={index === at}
              onMouseDown={(event) => {
                event.preventDefault();
                take(option);
              }}
            >
              <bdi>{visible(option.slice(0, 200)) || '(no name)'}</bdi>
            </li>
          ))}
          {loading && shown.length === 0 && <li class="quiet" role="presentation">…</li>}
          {shown.length > 0 && (more || shown.length === most) && <li class="quiet more" role="presentation">more: type to find them</li>}
        </ul>
      )}
    </div>
  );
}
