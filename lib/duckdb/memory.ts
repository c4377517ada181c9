/**
 * Memory of a DuckDB where nothing else is said. The limit is that of its buffers; readers, writers and Node add
 * 300 to 500 MB, so that a process stays below 2 GiB. More than this makes nothing faster that is larger than it
 * anyway; see docs/sources.md.
 */
export const DEFAULT_MEMORY_LIMIT = '1GB';
