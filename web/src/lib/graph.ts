// The graph of services as a person filters it: all of it, or what is within some calls of a service.
export interface Figures {
  calls: number;
  errors: number;
  p50Nano: string;
  p95Nano: string;
  p99Nano: string;
}
export interface GraphNode extends Figures {
  service: string;
}
export interface GraphEdge extends Figures {
  from: string;
  to: string;
}
export interface Graph {
  nodes: GraphNode[];
  edges: GraphEdge[];
}

const none: Figures = { calls: 0, errors: 0, p50Nano: '0', p95Nano: '0', p99Nano: '0' };

// Services that only call are nodes, too.
export function completeGraph(nodes: GraphNode[], edges: GraphEdge[]): Graph {
  const known = new Map(nodes.map((node) => [node.service, node]));
  for (const { from, to } of edges) {
    for (const service of [from, to]) if (!known.has(service)) known.set(service, { service, ...none });
  }
  return { nodes: [...known.values()], edges };
}

// The edges that a person can follow when all were too many to see: of each node the busiest one that enters it, so that
// no called service stands alone, then the busiest of all, up to `most`. In the order they had.
export function busiestEdges(edges: GraphEdge[], most: number): GraphEdge[] {
  if (edges.length <= most) return edges;
  const byCalls = [...edges].sort((a, b) => b.calls - a.calls);
  const kept = new Set<GraphEdge>();
  const entered = new Set<string>();
  for (const edge of byCalls) {
    if (edge.from === edge.to || entered.has(edge.to)) continue;
    entered.add(edge.to);
    kept.add(edge);
  }
  for (const edge of byCalls) {
    if (kept.size >= most) break;
    kept.add(edge);
  }
  return edges.filter((edge) => kept.has(edge));
}

// Within `hops` calls of a service whose name contains `text`; then the busiest `most` of them.
export function filterGraph(graph: Graph, text: string, hops: number, most: number): Graph & { left: number } {
  let kept = new Set(graph.nodes.map((node) => node.service));
  const wanted = text.trim().toLowerCase();
  if (wanted) {
    kept = new Set(graph.nodes.filter((node) => node.service.toLowerCase().includes(wanted)).map((node) => node.service));
    for (let hop = 0; hop < hops; hop++) {
      const reached = [...kept];
      const before = new Set(reached);
      for (const { from, to } of graph.edges) {
        if (before.has(from)) kept.add(to);
        if (before.has(to)) kept.add(from);
      }
    }
  }
  let nodes = graph.nodes.filter((node) => kept.has(node.service));
  const left = Math.max(0, nodes.length - most);
  if (left > 0) {
    nodes = [...nodes].sort((a, b) => b.calls - a.calls).slice(0, most);
    kept = new Set(nodes.map((node) => node.service));
  }
  return { nodes, edges: graph.edges.filter(({ from, to }) => kept.has(from) && kept.has(to)), left };
}
