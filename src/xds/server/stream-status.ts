/** What an operator can see of one stream: by type, what was sent, what was acknowledged, what was refused. */
import type { TlsPeer } from '../grpc/tls-peer.ts'
import type { StreamNode } from '../resource-set.ts'
import type { AdsVariant } from './response.ts'
import type { Rejection, TypeState, TypeSyncStatus } from './type-state.ts'

export interface TypeStatus {
  readonly typeUrl: string
  readonly status: TypeSyncStatus
  readonly isWildcard: boolean
  readonly names: number
  readonly sentVersion: string
  readonly ackedVersion: string
  readonly nonce: string
  /** Milliseconds since the epoch; 0 = never. */
  readonly sentAtMs: number
  readonly ackedAtMs: number
  readonly rejection: Rejection | undefined
}

export interface StreamStatus {
  readonly id: number
  readonly peer: string
  readonly variant: AdsVariant
  readonly node: StreamNode
  /** By the client's certificate; undefined on a plaintext connection. */
  readonly identity: TlsPeer | undefined
  readonly connectedAtMs: number
  readonly types: readonly TypeStatus[]
  /** A newer snapshot waits until this client has taken what is on its way. */
  readonly isBehind: boolean
  readonly inFlightBytes: number
  /** From a change to the last acknowledgement of what it caused; undefined before the first push. */
  readonly lastPushMs: number | undefined
}

export function typeStatus(state: TypeState): TypeStatus {
  return {
    typeUrl: state.typeUrl,
    status: state.status,
    isWildcard: state.isWildcard,
    names: state.names.size,
    sentVersion: state.sentVersion,
    ackedVersion: state.ackedVersion,
    nonce: state.nonce,
    sentAtMs: state.sentAtMs,
    ackedAtMs: state.ackedAtMs,
    rejection: state.rejection,
  }
}
