/**
 * Asks an application by gRPC's own health protocol (grpc.health.v1.Health/Check) whether a service of its serves, as
 * Kubernetes' kubelet does: in plaintext, one connection for each question. Two fields of protobuf are all there is to
 * encode: the service's name in the question, the status in the answer.
 */
import { connect, type IncomingHttpHeaders } from 'node:http2'

import type { ProbeAction } from './probe.ts'

export type GrpcAction = Extract<ProbeAction, { kind: 'grpc' }>

/** `HealthCheckResponse.ServingStatus` */
const servingStatuses = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']
const serving = 1
/** More than any answer of that protocol. */
const answerBytesMax = 1024

export function checkGrpc(action: GrpcAction, signal: AbortSignal): Promise<string | undefined> {
  const { host, port, service } = action
  const what = `gRPC health of ${service === '' ? 'the server' : service} on port ${port}`
  return new Promise((resolve) => {
    const session = connect(`http://${host.includes(':') ? `[${host}]` : host}:${port}`)
    const finish = (failure: string | undefined): void => {
      signal.removeEventListener('abort', onAbort)
      resolve(failure === undefined ? undefined : `${what}: ${failure}`)
      session.destroy()
    }
    const onAbort = (): void => finish('aborted')
    signal.addEventListener('abort', onAbort, { once: true })
    session.once('error', (error) => finish(error.message))
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    stream.on('error', (error) => finish(error.message))
    let answer = Buffer.alloc(0)
    let status = ''
    const note = (fields: IncomingHttpHeaders): void => {
      status = fieldOf(fields, 'grpc-status') ?? status
      const code = fieldOf(fields, ':status') ?? '200'
      if (code !== '200') status = `HTTP status ${code}`
    }
    stream.on('response', note)
    stream.on('trailers', note)
    stream.on('data', (chunk: Buffer) => {
      if (answer.length + chunk.length <= answerBytesMax) answer = Buffer.concat([answer, chunk])
    })
    stream.on('end', () => finish(verdict(status, answer)))
    stream.end(question(service))
  })
}

/** `HealthCheckRequest`, length-prefixed: field 1 is the service; an empty one is left out. */
function question(service: string): Buffer {
  const name = Buffer.from(service)
  const message =
    name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name])
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

/** Undefined: it serves. */
function verdict(status: string, answer: Buffer): string | undefined {
  if (status !== '0')
    return status.startsWith('HTTP') ? status : `gRPC status ${status || 'missing'}`
  // Field 1, a varint; absent means its zero value.
  const found = answer[5] === 0x08 ? (answer[6] ?? 0) : 0
  return found === serving ? undefined : (servingStatuses[found] ?? `status ${found}`)
}

function fieldOf(fields: IncomingHttpHeaders, name: string): string | undefined {
  const value = fields[name]
  return value === undefined ? undefined : String(value)
}
