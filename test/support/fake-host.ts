/** Hosts for tests of balancing and resilience: real slots, no connection. */
import { createHostStats } from '../../src/proxy/telemetry/create-stats.ts'
import { createSlotBuffers, createSlots } from '../../src/proxy/telemetry/shared-slots.ts'
import type { Slots } from '../../src/proxy/telemetry/slots.ts'
import type { Host } from '../../src/proxy/upstream/host.ts'

export function smallSlots(): Slots {
  return createSlots(createSlotBuffers({ gaugesMax: 8192, countersMax: 65_536 }))
}

export function fakeHost(slots: Slots, number: number, fields: Partial<Host> = {}): Host {
  const host: Host = {
    address: { kind: 'ip', address: '10.0.0.1', port: number },
    addressText: `10.0.0.1:${number}`,
    hostname: '',
    weight: 1,
    health: 'healthy',
    metadata: {
      workload: `w${number}`,
      namespace: 'default',
      canonicalName: 'w',
      canonicalRevision: 'v1',
      cluster: 'c',
      tlsMode: undefined,
    },
    stats: createHostStats(slots),
    isEjected: false,
    isAvailable: () => host.health === 'healthy' && !host.isEjected,
    ...fields,
  }
  return host
}

export function fakeHosts(slots: Slots, count: number, fields: Partial<Host> = {}): Host[] {
  return Array.from({ length: count }, (_, index) => fakeHost(slots, index + 1, fields))
}
