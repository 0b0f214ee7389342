/** Whether blocks of bytes are in a text, in this order and with anything in between (Envoy's PayloadMatcher). */
export function matchesPayload(blocks: readonly Buffer[], text: Buffer): boolean {
  let from = 0
  for (const block of blocks) {
    const found = text.indexOf(block, from)
    if (found === -1) return false
    from = found + block.length
  }
  return true
}
