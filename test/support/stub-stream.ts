/** What the control plane sees of an ADS stream, for tests that look at streams only. */
import type { TlsPeer } from '../../src/xds/grpc/tls-peer.ts'
import type { StreamStatus } from '../../src/xds/server/stream-status.ts'

export function stubStream(nodeId: string, identity: TlsPeer | undefined): StreamStatus {
  return {
    id: 1,
    peer: '127.0.0.1:1',
    variant: 'delta',
    node: {
      id: nodeId,
      cluster: '',
      metadata: {},
      userAgentName: '',
      userAgentVersion: '',
      clientFeatures: [],
      locality: { region: '', zone: '', subZone: '' },
    },
    identity,
    connectedAtMs: 0,
    types: [],
    isBehind: false,
    inFlightBytes: 0,
    lastPushMs: undefined,
  }
}
