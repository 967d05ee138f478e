/** Blocks that read what is there, and change nothing whatever their arguments are. */
export const READING_BLOCKS: ReadonlySet<string> = new Set(['fs.get', 'fs.list', 'fs.stat', 'sql.query']);
