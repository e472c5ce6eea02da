// Finding spans by what they say: every word must stand in the span's service, name, id, status message, or a key or value
// of its attributes and events.
import { kindNames, valueText } from './otlp';
import { GHOST, type Tree } from './tree';

const longest = 4096; // characters of one value that are looked at

export function matcher(text: string): ((tree: Tree, node: number) => boolean) | undefined {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return undefined;
  return (tree, node) => words.every((word) => matchesWord(tree, node, word));
}

function matchesWord(tree: Tree, node: number, word: string): boolean {
  if (tree.spanId[node].includes(word)) return true;
  if ((tree.flags[node] & GHOST) !== 0) return 'absent parent'.includes(word);
  if (tree.name[node].toLowerCase().includes(word) || tree.services[tree.service[node]].toLowerCase().includes(word)) return true;
  if (word === 'error' && tree.error[node]) return true;
  const { span } = tree.source[node];
  if (kindNames[span.kind ?? 0] === word || span.status?.message?.toLowerCase().includes(word)) return true;
  const inside = (text: string) => text.slice(0, longest).toLowerCase().includes(word);
  const attributes = (list: typeof span.attributes) => list?.some(({ key, value }) => inside(key) || inside(valueText(value)) || (word.includes('=') && inside(`${key}=${valueText(value)}`))) ?? false;
  return attributes(span.attributes) || (span.events?.some((event) => inside(event.name ?? '') || attributes(event.attributes)) ?? false);
}

export function matchingNodes(tree: Tree, text: string): Int32Array | undefined {
  const matches = matcher(text);
  if (!matches) return undefined;
  return tree.order.filter((node) => matches(tree, node));
}
