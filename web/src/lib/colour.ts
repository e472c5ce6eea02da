// A colour for each service: the same name always has the same one, on every page. There are fewer colours than
// services in the world, so a colour never stands alone: names are written beside it.
export const serviceColours = 12;

export function colourOf(name: string): number {
  let hash = 2166136261;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 16777619);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return ((hash ^ (hash >>> 12)) >>> 0) % serviceColours;
}
