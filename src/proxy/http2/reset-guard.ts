/**
 * Rapid reset (CVE-2023-44487): opening a stream and giving it up costs a client nothing, and us a request.
 *
 * Envoy's rule and numbers: a reset is premature when the stream lived for less than a second and got no response; a
 * connection ends when most of its streams so far did, or when they will have been most of the first 500 whatever follows.
 */

const prematureMs = 1000
const streamsMin = 500

export class ResetGuard {
  #streams = 0
  #premature = 0

  /** False when the connection should end. */
  onStreamEnd(end: { readonly wasReset: boolean; readonly livedMs: number }): boolean {
    this.#streams += 1
    if (!end.wasReset || end.livedMs >= prematureMs) return true
    this.#premature += 1
    const streams = Math.max(this.#streams, streamsMin)
    return this.#premature * 2 < streams
  }
}
