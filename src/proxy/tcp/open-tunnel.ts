/**
 * Asks an HTTP/1.1 proxy for a tunnel by CONNECT before bytes are sent through it (Envoy `tunneling_config`): one
 * answer, and what follows the answer's head belongs to the connection.
 *
 * The answer is read strictly: anything but an HTTP/1 status line, or a head that is too long, is a failure, as is
 * every status but 2xx. Bounds: `headBytesMax` octets, and the time that the caller gives.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Wire } from '../wire/wire.ts'

export interface TunnelSettings {
  /** `host:port` */
  readonly target: string
  /** By POST to this path; absent: by CONNECT. */
  readonly post?: { readonly path: string } | undefined
}

export interface OpenTunnelOptions extends TunnelSettings {
  readonly clock: Clock
  /** 0 = none. */
  readonly timeoutMs: number
}

export type TunnelResult =
  /** What the bytes go through; `rest` came behind the answer. It may be paused. */
  | { readonly ok: true; readonly wire: Wire; readonly rest: Buffer }
  | { readonly ok: false; readonly reason: 'timeout' | 'failed'; readonly message: string }

const headBytesMax = 64 * 1024
const headEnd = '\r\n\r\n'
const statusLine = /^HTTP\/1\.[01] ([1-5]\d\d)(?: [^\r\n]*)?$/

/** `done` is called once, never before this returned; the returned function gives up and calls nothing. */
export function openTunnel(
  wire: Wire,
  options: OpenTunnelOptions,
  done: (result: TunnelResult) => void,
): () => void {
  const { target, clock, timeoutMs } = options
  let held = Buffer.alloc(0)
  let isOver = false
  const finish = (result: TunnelResult): void => {
    if (isOver) return
    isOver = true
    timer?.cancel()
    if (result.ok) wire.pause()
    else wire.destroy()
    done(result)
  }
  const fail = (message: string): void => finish({ ok: false, reason: 'failed', message })
  const timer =
    timeoutMs === 0
      ? undefined
      : clock.setTimer(timeoutMs, () => {
          const message = `no answer to CONNECT within ${timeoutMs} ms`
          finish({ ok: false, reason: 'timeout', message })
        })
  wire.listen({
    onData(chunk) {
      held = Buffer.concat([held, chunk])
      const answer = readAnswer(held)
      if (answer === 'more') return
      if (typeof answer === 'string') fail(answer)
      else finish({ ok: true, wire, rest: answer })
    },
    onEnd: () => fail('ended before its answer to CONNECT'),
    onDrain: () => {},
    onClose: () => fail('closed before its answer to CONNECT'),
  })
  wire.write(`CONNECT ${target} HTTP/1.1\r\nhost: ${target}\r\n\r\n`)
  return () => {
    isOver = true
    timer?.cancel()
    wire.destroy()
  }
}

/** What follows the final answer; `more`; or what was wrong with it. */
function readAnswer(bytes: Buffer): Buffer | string {
  let rest = bytes
  for (;;) {
    const end = rest.indexOf(headEnd)
    if (end === -1) return rest.length > headBytesMax ? 'the answer’s head is too long' : 'more'
    const [line = ''] = rest.toString('latin1', 0, end).split('\r\n')
    const status = Number(statusLine.exec(line)?.[1])
    if (Number.isNaN(status)) return 'the answer is no HTTP/1'
    rest = rest.subarray(end + headEnd.length)
    if (status >= 200) return status < 300 ? rest : `the answer to CONNECT is ${status}`
    if (status === 101) return 'the answer to CONNECT is 101'
  }
}
