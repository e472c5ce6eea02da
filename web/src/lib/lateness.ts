// When a trace was decided, and what came late: its verdicts on a line of time. Late spans may come seconds or days after
// the others, so the line is logarithmic: each step of it is ten times as long as the one before.
import { millisOf } from './time';

export interface Decided {
  decidedUnixNano: string;
  spans: number;
  lateSpans: number;
}
export interface Mark {
  afterMs: number; // since the trace began
  share: number; // of the line, 0 to 1
  spans: number; // known then
  late: number; // that this verdict counts and the one before did not
}

export function lateness(startUnixNano: string, history: Decided[]): Mark[] {
  const start = millisOf(startUnixNano);
  // Clocks of senders may be ahead of the node's, or years behind: a verdict is never before what it judges.
  const after = history.map((one) => Math.max(0, millisOf(one.decidedUnixNano) - start));
  const place = (ms: number) => Math.log10(1 + ms / 100);
  const end = place(Math.max(1, ...after));
  return history.map((one, index) => ({
    afterMs: after[index],
    share: place(after[index]) / end,
    spans: one.spans,
    late: index === 0 ? one.lateSpans : Math.max(0, one.lateSpans - history[index - 1].lateSpans),
  }));
}
