/** What a node stands for; how it looks is the renderer's matter. */
export type NodeKind =
  | 'begin'
  | 'finish'
  | 'call'
  | 'human'
  | 'set'
  | 'wait'
  | 'emit'
  | 'listen'
  | 'raise'
  | 'decision'
  | 'loop'
  | 'fork'
  | 'join'
  | 'try'
  | 'legend';

/** How far a run is with what a node or a group stands for. */
export type GraphState =
  | 'completed'
  | 'failed'
  | 'running'
  | 'waiting'
  | 'cancelled'
  | 'skipped'
  | 'notReached'
  /** It may have run: what is known of the run does not tell. */
  | 'unknown';

export interface GraphNode {
  readonly id: string;
  readonly kind: NodeKind;
  /** Lines of the label, as plain text. */
  readonly lines: readonly string[];
  /** JSON Pointer of the step that the node shows. */
  readonly step?: string;
  readonly state?: GraphState;
}

/** Steps that belong together: the list of a do, for, fork, try, catch, function or compensation. */
export interface GraphGroup {
  readonly id: string;
  readonly title: string;
  readonly items: readonly GraphItem[];
  /** JSON Pointer of the step that the group is. */
  readonly step?: string;
  /** True where no node in the group shows the step itself. */
  readonly showsStep?: true;
  readonly state?: GraphState;
  /** Said behind the title. */
  readonly status?: string;
}

export type GraphItem = GraphNode | GraphGroup;

export interface GraphEdge {
  readonly from: string;
  readonly to: string;
  readonly label?: string;
  /** The way that an error takes, and the one to what undoes a step. */
  readonly isDotted?: boolean;
}

/** A flow as a picture: no edge begins or ends at a group. */
export interface FlowGraph {
  readonly title: string;
  readonly items: readonly GraphItem[];
  readonly edges: readonly GraphEdge[];
  /** For readers of the text: they do not show in the picture. */
  readonly comments?: readonly string[];
}
