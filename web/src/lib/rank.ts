// Of names for completion the best for what was typed: first those that begin with it.
export function rank(options: string[], typed: string, most: number): string[] {
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
