/** A process of its own that opens many gRPC streams over TLS at once; says how many were answered. */
import { text } from 'node:stream/consumers'

import { systemClock } from '../../src/lib/clock.ts'
import { openGrpcStream } from '../../src/xds/grpc/grpc-client.ts'
import { GrpcFrame } from '../../src/xds/grpc/grpc-frame.ts'

interface Order {
  readonly target: string
  readonly path: string
  readonly keyPem: string
  readonly chainPem: string
  readonly clients: number
}

const { target, path, keyPem, chainPem, clients } = JSON.parse(await text(process.stdin)) as Order
const startMs = performance.now()
const calls = Array.from({ length: clients }, () => {
  const { promise, resolve } = Promise.withResolvers<string>()
  const stream = openGrpcStream({
    target,
    path,
    tls: {
      certificate: { keyPem, chainPem },
      serverName: 'istiod.istio-system.svc',
      verifyServer: () => ({ ok: true }),
    },
    clock: systemClock,
    connectTimeoutMs: 60_000,
    events: {
      onMessage: () => resolve('answered'),
      onDrain() {},
      onClose: ({ message }) => resolve(message),
    },
  })
  stream.send(new GrpcFrame(Buffer.from('hi')))
  return { stream, promise }
})
const results = await Promise.all(calls.map(({ promise }) => promise))
const seconds = (performance.now() - startMs) / 1_000
const answered = results.filter((result) => result === 'answered').length
const others = [...new Set(results)].filter((result) => result !== 'answered')
process.stdout.write(`${JSON.stringify({ answered, seconds, others })}\n`)
for (const { stream } of calls) stream.end({ code: 1, message: '' })
