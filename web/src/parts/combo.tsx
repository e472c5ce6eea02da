// A text field that completes: arrow keys choose, Enter or Tab takes, Escape closes. What is typed is never changed
// without being asked. Options come from outside; the field shows the best `most` of those that fit.
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { visible } from '../lib/otlp';

const most = 50;

export interface ComboProps {
  label: string;
  value: string;
  placeholder?: string;
  options: string[];
  loading?: boolean;
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

export function rank(options: string[], typed: string): string[] {
  const wanted = typed.toLowerCase();
  if (!wanted) return options.slice(0, most);
  const starts: string[] = [];
  const contains: string[] = [];
  for (const option of options) {
    const at = option.toLowerCase().indexOf(wanted);
    if (at === 0) starts.push(option);
    else if (at > 0) contains.push(option);
    if (starts.length >= most) break;
  }
  return starts.concat(contains).slice(0, most);
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
  // A field whose whole value is an option shows all options, to choose another.
  const typed = part && !props.part && props.options.includes(text) ? '' : (part?.typed ?? '');
  const shown = part && open ? rank(props.options, typed) : [];
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
      {open && (shown.length > 0 || props.loading) && (
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
          {props.loading && shown.length === 0 && <li class="quiet">…</li>}
        </ul>
      )}
    </div>
  );
}
