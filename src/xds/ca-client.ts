/**
 * Istio's call for a certificate, made: one connection, one request, one answer.
 *
 * The server is checked before the token leaves (grpc-client.ts). Two kinds of failure: a refusal, which no retry
 * will change, and a control plane that cannot be had, which may come back.
 */
import type { Clock } from '../lib/clock.ts'
import { MeshError } from '../lib/mesh-error.ts'
import { caPath, clockHeader } from './ca-server.ts'
import { openGrpcStream, type GrpcClientTls } from './grpc/grpc-client.ts'
import { GrpcFrame } from './grpc/grpc-frame.ts'
import { grpcCodes, type GrpcStatus } from './grpc/grpc-status.ts'
import {
  IstioCertificateRequest,
  IstioCertificateResponse,
} from './proto/generated/istio/v1/auth/ca.ts'

export interface CreateCertificateOptions {
  /** `host:15012`. */
  readonly target: string
  /** With the current certificate, for renewal. Undefined: plaintext, for an authority on loopback that allows it. */
  readonly tls: GrpcClientTls | undefined
  readonly csrPem: string
  /** 0: as long as the authority gives by itself. */
  readonly ttlSeconds?: number
  /** A join token or a JWT; none when the current certificate says who we are. */
  readonly token?: string | undefined
  readonly metadata?: Readonly<Record<string, unknown>>
  readonly clock: Clock
  readonly timeoutMs?: number
}

const timeoutMsDefault = 10_000
/** A chain of eight and eight roots stay below it. */
const responseBytesMax = 1 << 20

/**
 * PEM: leaf, intermediates, and all roots in the last element. Rejections: MESH_IDENTITY_REFUSED (asking again does
 * not help), MESH_CA_UNREACHABLE (it may).
 */
export function createCertificate(options: CreateCertificateOptions): Promise<readonly string[]> {
  const { target, tls, token, clock, timeoutMs = timeoutMsDefault } = options
  return new Promise((resolve, reject) => {
    let chain: readonly string[] = []
    const timer = clock.setTimer(timeoutMs, () => {
      const message = `no answer within ${timeoutMs} ms`
      stream.end({ code: grpcCodes.deadlineExceeded, message })
    })
    const stream = openGrpcStream({
      target,
      tls,
      path: caPath,
      clock,
      messageBytesMax: responseBytesMax,
      metadata: [
        [clockHeader, String(clock.nowMs())],
        ...(token === undefined ? [] : [['authorization', `Bearer ${token}`] as const]),
      ],
      events: {
        onMessage: (bytes) => {
          chain = IstioCertificateResponse.decode(bytes).certChain
        },
        onDrain() {},
        onClose(status) {
          timer.cancel()
          if (status.code === grpcCodes.ok && chain.length > 1) resolve(chain)
          else reject(failureOf(target, status))
        },
      },
    })
    stream.send(requestOf(options))
  })
}

function requestOf({ csrPem, ttlSeconds = 0, metadata }: CreateCertificateOptions): GrpcFrame {
  const request = IstioCertificateRequest.fromPartial({
    csr: csrPem,
    validityDuration: ttlSeconds,
    ...(metadata === undefined ? {} : { metadata: { ...metadata } }),
  })
  return new GrpcFrame(IstioCertificateRequest.encode(request).finish())
}

const refusals: ReadonlySet<number> = new Set([
  grpcCodes.invalidArgument,
  grpcCodes.permissionDenied,
  grpcCodes.unauthenticated,
  grpcCodes.unimplemented,
])

function failureOf(target: string, { code, message }: GrpcStatus): MeshError {
  const reason = code === grpcCodes.ok ? 'the answer holds no certificate' : message
  if (refusals.has(code)) {
    return new MeshError('MESH_IDENTITY_REFUSED', `${target} gave no certificate: ${reason}`, {
      remedy: 'make a join token (tulle token create) and pass it to tulle run --token-file',
    })
  }
  return new MeshError('MESH_CA_UNREACHABLE', `no certificate from ${target}: ${reason}`)
}
