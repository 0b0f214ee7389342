/** Sends the frames of a case on a connection of its own, and says what came back. */
import { frameTypes } from '../../../src/proxy/http2/frame.ts'
import { RawClient, type RawFrame } from '../../support/raw-http2.ts'
import type { Http2Case } from './http2-cases.ts'

export interface Http2Outcome {
  status: string | undefined
  fields: readonly string[]
  body: string
  trailers: readonly string[] | undefined
  /** Code of RST_STREAM. */
  reset: number | undefined
  /** By the proxy. Envoy often says no GOAWAY before it. */
  endsConnection: boolean
  log: unknown
}

/** Differs from one run to the next. */
const volatile = new Set(['date', 'x-envoy-upstream-service-time'])

export async function runCase(one: Http2Case, port: number): Promise<Http2Outcome> {
  const client = new RawClient(port)
  client.open(one.settings)
  one.send(client)
  let isGivenUp = false
  const timer = setTimeout(() => {
    isGivenUp = true
    client.close()
  }, 1_700)
  const isLast = ({ type, flags, streamId }: RawFrame): boolean =>
    type === frameTypes.goaway ||
    (streamId === 1 &&
      (type === frameTypes.rstStream || ((type === 0 || type === 1) && (flags & 1) === 1)))
  await client.frame(isLast)
  clearTimeout(timer)
  // Whatever follows at once belongs to it: a reset behind an early answer.
  await new Promise((resolve) => setTimeout(resolve, 30))
  const { isClosed } = client
  client.close()
  return outcomeOf(client.frames, isClosed && !isGivenUp)
}

function outcomeOf(frames: readonly RawFrame[], isClosed: boolean): Http2Outcome {
  const own = frames.filter(({ streamId }) => streamId === 1)
  const heads = own.filter(({ type }) => type === frameTypes.headers)
  const [head, last] = heads
  const data = own.filter(({ type }) => type === frameTypes.data)
  const reset = own.find(({ type }) => type === frameTypes.rstStream)
  const goaway = frames.find(({ type }) => type === frameTypes.goaway)
  const endsConnection = isClosed || goaway !== undefined
  return {
    status: head?.fields.find(([name]) => name === ':status')?.[1],
    fields: textOf(head),
    body: Buffer.concat(data.map(({ payload }) => payload)).toString(),
    trailers: last === undefined ? undefined : textOf(last),
    // Where the connection ends, a reset before it says nothing more.
    reset: endsConnection ? undefined : reset?.payload.readUInt32BE(0),
    endsConnection,
    log: undefined,
  }
}

function textOf(frame: RawFrame | undefined): string[] {
  const fields = (frame?.fields ?? []).filter(
    ([name]) => !name.startsWith(':') && !volatile.has(name),
  )
  return fields.map(([name, value]) => `${name}: ${value}`).sort()
}
