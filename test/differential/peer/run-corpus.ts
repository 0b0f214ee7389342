/** What a proxy makes of the whole corpus, over real sockets. */
import { inParallel } from '../../conformance/parity/answer.ts'
import { bytesOf, requestCorpus, responseCorpus, type Peer } from '../corpus.ts'
import { readResponses } from '../response-stream.ts'
import { responsesText } from '../two-requests.ts'
import { openPeer } from './open-peer.ts'
import { sendTo } from './send.ts'
import { openAnsweringOrigin, openReadingOrigin, type TappedConnection } from './tapped-origin.ts'

export interface CorpusRun {
  /** By the name of the case. */
  readonly outcomes: ReadonlyMap<string, string>
  /** What the proxy forwarded. */
  readonly connections: readonly TappedConnection[]
}

/** A string says why the proxy is not there. */
export async function runRequests(peer: Peer): Promise<CorpusRun | string> {
  await using origin = await openReadingOrigin()
  const opened = await openPeer(peer, origin.port)
  if (typeof opened === 'string') return opened
  await using proxy = opened
  const outcomes = new Map<string, string>()
  await inParallel(requestCorpus(), async ({ name, sent }) => {
    const { received, isClosed } = await sendTo(proxy.port, bytesOf(sent))
    outcomes.set(name, statusesOf(received, sent, isClosed))
  })
  return { outcomes, connections: [...origin.connections] }
}

/** Statuses in order. A body that is none, as of HTTP/0.9, is called so. */
export function statusesOf(received: Buffer, sent: string, isClosed: boolean): string {
  if (received.length === 0) return '-'
  const text = received.toString('latin1')
  if (sent.startsWith('PRI ') && !text.startsWith('HTTP/1')) return 'HTTP/2'
  if (!text.startsWith('HTTP/')) return 'no HTTP'
  const methods = Array.from({ length: 9 }, () => (sent.startsWith('HEAD') ? 'HEAD' : 'GET'))
  return readResponses(received, methods, isClosed).statuses.join(' ')
}

export async function runResponses(peer: Peer): Promise<CorpusRun | string> {
  const cases = new Map(responseCorpus().map((one) => [one.name, one]))
  await using origin = await openAnsweringOrigin((name) => {
    const one = cases.get(name)
    return one && { sent: bytesOf(one.sent), ends: one.ends === true }
  })
  const opened = await openPeer(peer, origin.port)
  if (typeof opened === 'string') return opened
  await using proxy = opened
  const outcomes = new Map<string, string>()
  await inParallel([...cases.values()], async ({ name, method = 'GET' }) => {
    const bytes = bytesOf(
      `${method} /first/${name} HTTP/1.1\r\nHost: app.test\r\n\r\n` +
        `GET /second/${name} HTTP/1.1\r\nHost: app.test\r\n\r\n`,
    )
    const sent = await sendTo(proxy.port, bytes)
    outcomes.set(name, responsesText(sent, method))
  })
  return { outcomes, connections: [] }
}
