/**
 * Istio's call for a certificate, served: `istio.v1.auth.IstioCertificateService/CreateCertificate`.
 *
 * One request, one answer. Who the caller is and what it gets is decided elsewhere, from its certificate or from its
 * metadata; this file knows the protocol only. Open to anybody, because that is how one comes to a certificate.
 */
import type { Log } from '../lib/log.ts'
import { describeError, MeshError, type MeshErrorCode } from '../lib/mesh-error.ts'
import { GrpcFrame } from './grpc/grpc-frame.ts'
import type { GrpcMethods } from './grpc/grpc-server.ts'
import { grpcCodes, type GrpcStatus } from './grpc/grpc-status.ts'
import type { GrpcServerStream, GrpcStreamEvents } from './grpc/grpc-stream.ts'
import type { TlsPeerVerdict } from './grpc/tls-peer.ts'
import {
  IstioCertificateRequest,
  IstioCertificateResponse,
} from './proto/generated/istio/v1/auth/ca.ts'

export const caPath = '/istio.v1.auth.IstioCertificateService/CreateCertificate'

export interface CertificateCall {
  readonly csrPem: string
  /** 0: the authority's default. */
  readonly ttlSeconds: number
  readonly metadata: Readonly<Record<string, unknown>>
  /** Of the connection; undefined on plaintext. */
  readonly verdict: TlsPeerVerdict | undefined
  /** Value of `authorization: Bearer …`. */
  readonly bearer: string | undefined
  /** The caller's clock, when it said so: milliseconds since the epoch. */
  readonly callerClockMs: number | undefined
  readonly peer: string
}

export type CertificateAnswer =
  /** PEM: leaf, intermediates, roots. */
  | { readonly ok: true; readonly chain: readonly string[] }
  | { readonly ok: false; readonly status: GrpcStatus }

export interface CaMethodOptions {
  /** May reject with MeshError: MESH_IDENTITY_INVALID, MESH_CA_UNAVAILABLE. */
  readonly create: (call: CertificateCall) => Promise<CertificateAnswer>
  readonly log: Log
}

/** A request with an RSA-4096 key has 2 KB. */
const requestBytesMax = 64 << 10
/** Name of ours in the call's metadata, for findings about clocks. */
export const clockHeader = 'tulle-clock-ms'

export function createCaMethods(options: CaMethodOptions): GrpcMethods {
  return {
    [caPath]: {
      isOpenToAnybody: true,
      messageBytesMax: requestBytesMax,
      open: (stream) => openCall(stream, options),
    },
  }
}

function openCall(stream: GrpcServerStream, options: CaMethodOptions): GrpcStreamEvents {
  let isAsked = false
  return {
    onMessage(bytes) {
      if (isAsked) return
      isAsked = true
      void answer(stream, bytes, options)
    },
    // Unary clients (grpc-go, so Istio's agent) end their side right after the request: its answer is still to come.
    onHalfClose() {
      if (isAsked) return
      stream.end({ code: grpcCodes.invalidArgument, message: 'no request came with the call' })
    },
    onDrain() {},
    onClose() {},
  }
}

/** The loop of one call: whatever goes wrong is its answer. */
async function answer(
  stream: GrpcServerStream,
  bytes: Uint8Array,
  { create, log }: CaMethodOptions,
): Promise<void> {
  try {
    const answered = await create(readCall(stream, bytes))
    if (answered.ok) {
      const certChain = [...answered.chain]
      const response = IstioCertificateResponse.fromPartial({ certChain })
      stream.send(new GrpcFrame(IstioCertificateResponse.encode(response).finish()))
      stream.end({ code: grpcCodes.ok, message: '' })
    } else stream.end(answered.status)
  } catch (error) {
    log.warn({ peer: stream.peer, error: describeError(error) }, 'no certificate was given')
    stream.end(statusOf(error))
  }
}

function readCall(stream: GrpcServerStream, bytes: Uint8Array): CertificateCall {
  let request
  try {
    request = IstioCertificateRequest.decode(bytes)
  } catch (cause) {
    throw new MeshError('MESH_XDS_PROTOCOL', 'decode a certificate request', { cause })
  }
  const [, bearer] = /^bearer +(\S+)$/i.exec(stream.header('authorization') ?? '') ?? []
  const clock = stream.header(clockHeader) ?? ''
  return {
    csrPem: request.csr,
    ttlSeconds: Math.max(0, request.validityDuration),
    metadata: request.metadata ?? {},
    verdict: stream.verdict,
    bearer,
    callerClockMs: /^\d{1,15}$/.test(clock) ? Number(clock) : undefined,
    peer: stream.peer,
  }
}

const codes: Partial<Record<MeshErrorCode, number>> = {
  MESH_XDS_PROTOCOL: grpcCodes.invalidArgument,
  MESH_IDENTITY_INVALID: grpcCodes.invalidArgument,
  MESH_IDENTITY_REFUSED: grpcCodes.permissionDenied,
  MESH_CA_UNAVAILABLE: grpcCodes.unavailable,
}

/** The caller's fault is told to it; of ours it hears only that there was one. */
function statusOf(error: unknown): GrpcStatus {
  const code = error instanceof MeshError ? codes[error.code] : undefined
  if (code === undefined || !(error instanceof MeshError)) {
    return { code: grpcCodes.internal, message: 'internal error, see the log of the control plane' }
  }
  return { code, message: code === grpcCodes.unavailable ? error.message : describeError(error) }
}
