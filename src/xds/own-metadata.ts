/** What we say in Envoy's metadata of our own: the control plane writes it, and our proxy alone reads it. */

/** Of filter metadata: which resource a message was made from, for `tulle explain`. */
export const provenanceKey = 'tulle.dev'

/** In a fault's `filter_metadata`: the abort is a reset. Envoy has no such fault; it answers the status beside it. */
export const resetMark = { key: 'tulle.dev/abort', value: 'reset' } as const
