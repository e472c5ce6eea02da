// A list of any length: only what is near the view stands in the document. Rows have one height.
import type { ComponentChildren, JSX, RefObject } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';

export interface VirtualProps extends Omit<JSX.HTMLAttributes<HTMLDivElement>, 'children' | 'ref'> {
  count: number;
  rowHeight: number;
  // No more than `slots` rows are ever in the document at once: a row whose key is its index modulo that takes over the
  // elements of one that left the view.
  row: (index: number, top: number, slots: number) => ComponentChildren;
  // Filled with what scrolls a row into view.
  control?: RefObject<VirtualControl>;
  onRange?: (first: number, last: number) => void;
  children?: ComponentChildren; // above the rows, scrolls along
}
export interface VirtualControl {
  reveal: (index: number, centre?: boolean) => void;
  element: HTMLDivElement | null;
}

const beyond = 6; // rows kept on either side of the view
const firstRows = 30; // drawn before the size of the view is known

export function VirtualList({ count, rowHeight, row, control, onRange, children, ...rest }: VirtualProps) {
  const box = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState<[number, number]>([0, firstRows]);
  const shown = useRef(range);
  const update = () => {
    const element = box.current;
    if (!element) return;
    const first = Math.max(0, Math.floor(element.scrollTop / rowHeight) - beyond);
    const last = Math.min(count, Math.ceil((element.scrollTop + element.clientHeight) / rowHeight) + beyond);
    onRange?.(element.scrollTop / rowHeight, (element.scrollTop + element.clientHeight) / rowHeight);
    if (first === shown.current[0] && last === shown.current[1]) return;
    shown.current = [first, last];
    setRange([first, last]);
  };
  useLayoutEffect(() => {
    update();
    const observer = new ResizeObserver(update);
    if (box.current) observer.observe(box.current);
    return () => observer.disconnect();
  }, [count, rowHeight]);
  if (control) {
    control.current = {
      element: box.current,
      reveal: (index, centre) => {
        const element = box.current;
        if (!element) return;
        const top = index * rowHeight;
        if (top >= element.scrollTop && top + rowHeight <= element.scrollTop + element.clientHeight) return;
        if (centre) element.scrollTop = top - element.clientHeight / 2;
        else if (top < element.scrollTop) element.scrollTop = top - rowHeight;
        else element.scrollTop = top + 2 * rowHeight - element.clientHeight;
      },
    };
  }
  const rows: ComponentChildren[] = [];
  const slots = Math.max(range[1] - range[0], Math.ceil((box.current?.clientHeight ?? 0) / rowHeight) + 2 * beyond + 1, firstRows);
  for (let index = range[0]; index < Math.min(range[1], count); index++) rows.push(row(index, index * rowHeight, slots));
  return (
    <div {...rest} ref={box} onScroll={update}>
      {children}
      <div class="virtual" style={{ height: `${count * rowHeight}px` }} role="presentation">
        {rows}
      </div>
    </div>
  );
}
