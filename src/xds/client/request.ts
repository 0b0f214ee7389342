/** Encodes a client's requests; which fields are set when is Envoy's xDS protocol page to the letter. */
import { grpcCodes } from '../grpc/grpc-status.ts'
import type { Node } from '../proto/generated/envoy/config/core/v3/base.ts'
import {
  DeltaDiscoveryRequest,
  DiscoveryRequest,
} from '../proto/generated/envoy/service/discovery/v3/discovery.ts'
import type { TypeSubscription } from './type-subscription.ts'

export interface RequestContext {
  /** Only in the first request of a stream. */
  readonly node: Node | undefined
  /** When the request answers a response. */
  readonly answer: { readonly nonce: string; readonly error?: string } | undefined
}

export function encodeSotwRequest(type: TypeSubscription, context: RequestContext): Uint8Array {
  const message = DiscoveryRequest.fromPartial({
    typeUrl: type.typeUrl,
    versionInfo: type.versionToTell,
    resourceNames: namesOf(type),
    responseNonce: context.answer?.nonce ?? type.nonce,
    errorDetail: errorDetail(context),
  })
  message.node = context.node
  return DiscoveryRequest.encode(message).finish()
}

export function encodeDeltaRequest(type: TypeSubscription, context: RequestContext): Uint8Array {
  const { wanted, told } = type
  const wantedNames = wanted === '*' ? new Set(['*']) : wanted
  const toldNames = told === '*' ? new Set(['*']) : (told ?? new Set<string>())
  const isFirst = told === undefined
  const message = DeltaDiscoveryRequest.fromPartial({
    typeUrl: type.typeUrl,
    resourceNamesSubscribe: without(wantedNames, toldNames),
    resourceNamesUnsubscribe: without(toldNames, wantedNames),
    initialResourceVersions: isFirst ? Object.fromEntries(type.accepted) : {},
    responseNonce: context.answer?.nonce ?? '',
    errorDetail: errorDetail(context),
  })
  message.node = context.node
  return DeltaDiscoveryRequest.encode(message).finish()
}

/** LDS and CDS have the older form of the wildcard, which every server knows: no names at all. */
function namesOf(type: TypeSubscription): string[] {
  if (type.wanted !== '*') return [...type.wanted]
  return type.isComplete ? [] : ['*']
}

function without(names: ReadonlySet<string>, others: ReadonlySet<string>): string[] {
  return [...names].filter((name) => !others.has(name))
}

function errorDetail({ answer }: RequestContext) {
  if (answer?.error === undefined) return undefined
  return { code: grpcCodes.invalidArgument, message: answer.error, details: [] }
}
