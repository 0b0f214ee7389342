/** Which of the streams that closed last were given up by us: the peer may still send on those (RFC 9113 §5.1). */

const remembered = 256

export class ClosedStreams {
  /** Direct-mapped by stream id; a reset is kept as a negative. */
  readonly #ids = new Int32Array(remembered)

  add(streamId: number, isReset: boolean): void {
    this.#ids[(streamId >> 1) % remembered] = isReset ? -streamId : streamId
  }

  /** Undefined: it is long ago, or the stream was passed over. */
  find(streamId: number): 'reset' | 'ended' | undefined {
    const known = this.#ids[(streamId >> 1) % remembered]
    if (known === streamId) return 'ended'
    return known === -streamId ? 'reset' : undefined
  }
}
