/**
 * Tells HTTP/2 from HTTP/1 by the first bytes of a connection (RFC 9113 §3.4). Whoever reads HTTP/1 has been given the
 * wire already; it gets everything but a preface. A beginning of a preface is kept until it is one, or is none.
 */
import { preface } from '../http2/frame.ts'
import type { Wire, WireEvents } from '../wire/wire.ts'

export function sniffPreface(wire: Wire, http1: WireEvents, onPreface: () => WireEvents): void {
  let kept = ''
  wire.listen({
    onData(chunk) {
      const bytes = chunk as Buffer // Wires hand out Buffers; the contract only promises their base.
      const missing = preface.length - kept.length
      const begun = kept + bytes.toString('latin1', 0, Math.min(missing, bytes.length))
      const isPreface = preface.startsWith(begun)
      if (isPreface && begun.length < preface.length) {
        kept = begun
        return
      }
      const whole = kept === '' ? chunk : Buffer.concat([Buffer.from(kept, 'latin1'), chunk])
      if (isPreface) {
        onPreface().onData(whole)
        return
      }
      wire.listen(http1)
      http1.onData(whole)
    },
    onEnd: () => http1.onEnd(),
    onDrain: () => http1.onDrain(),
    onClose: (error) => http1.onClose(error),
  })
}
