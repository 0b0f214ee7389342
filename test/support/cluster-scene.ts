/** The clusters of a sidecar without its connections: time, chance, names and dials are the test's. */
import assert from 'node:assert/strict'

import { silentLog } from '../../src/lib/log.ts'
import { seededRandom } from '../../src/lib/random.ts'
import { ClusterTable } from '../../src/proxy/cluster/cluster-table.ts'
import { resolvedList } from '../../src/proxy/cluster/endpoint-source.ts'
import type { ResolvedList } from '../../src/proxy/cluster/live-host.ts'
import type { Resolution, Resolve } from '../../src/proxy/cluster/resolver.ts'
import { Retirement } from '../../src/proxy/cluster/retirement.ts'
import type { ClusterConfig } from '../../src/proxy/config/cluster-config.ts'
import { compileCluster } from '../../src/proxy/config/compile-cluster.ts'
import { compileEndpoints } from '../../src/proxy/config/compile-endpoints.ts'
import { LogFiles } from '../../src/proxy/config/log-files.ts'
import { StatsRegistry } from '../../src/proxy/telemetry/stats-registry.ts'
import type { Host } from '../../src/proxy/upstream/host.ts'
import { envoyMessage } from './envoy-message.ts'
import { FakeClock } from './fake-clock.ts'
import { FakeConnector } from './fake-connector.ts'
import { smallSlots } from './fake-host.ts'
import { createTlsScope } from './tls-scope.ts'

export class ClusterScene {
  readonly clock = new FakeClock()
  readonly slots = smallSlots()
  readonly drained: Host[] = []
  readonly stats = new StatsRegistry(this.slots)
  readonly answers = new Map<string, Resolution>()
  readonly asked: string[] = []
  readonly names: string[][] = []
  readonly table: ClusterTable
  /** Health checks ask by it. */
  readonly connector = new FakeConnector()
  #pending: { readonly name: string; readonly answer: () => void }[] = []

  /** `localCluster`: the cluster that the proxy is a member of, in zone `a`. */
  constructor(localCluster?: string) {
    const resolve: Resolve = (name, _family, done) => {
      this.asked.push(name)
      const answer = (): void =>
        done(this.answers.get(name) ?? { ok: false, message: 'no such name' })
      this.#pending.push({ name, answer })
    }
    this.table = new ClusterTable(
      {
        clock: this.clock,
        random: seededRandom(1),
        log: silentLog,
        stats: this.stats,
        resolve,
        localCluster:
          localCluster === undefined
            ? undefined
            : { name: localCluster, locality: { region: '', zone: 'a', subZone: '' } },
        retirement: new Retirement(this.clock, () => this.slots.reclaim()),
        tls: createTlsScope(this.clock),
        leadsBack: (address) =>
          address.kind === 'ip' && (address.port === 15_001 || address.address === '127.9.9.9'),
        drainHost: (host) => this.drained.push(host),
        connector: () => this.connector,
        logFiles: new LogFiles(this.clock, new StatsRegistry(this.slots), silentLog),
      },
      {
        onAssignmentNames: () => this.names.push([...this.table.assignmentNames]),
        onChange: () => {},
      },
    )
  }

  /** Lets every look-up that waits be answered, or those of one name. */
  answerNames(only?: string): void {
    const pending = this.#pending
    const isMeant = ({ name }: { readonly name: string }) => only === undefined || name === only
    this.#pending = pending.filter((one) => !isMeant(one))
    for (const { answer } of pending.filter(isMeant)) answer()
  }

  addresses(cluster: string): readonly string[] {
    return this.table.get(cluster)?.hosts.map((host) => host.addressText) ?? []
  }
}

export function clusterConfig(text: string): ClusterConfig {
  const result = compileCluster(envoyMessage.cluster(text))
  assert.ok(result.ok, result.ok ? '' : result.reasons.join('; '))
  return result.value
}

export const edsCluster = (fields = ''): ClusterConfig =>
  clusterConfig(`{name: c, type: EDS, eds_cluster_config: {eds_config: {ads: {}}}, ${fields}}`)

/** One endpoint for each port. */
export function endpoints(...ports: readonly number[]): ResolvedList {
  const list = ports.map(
    (port) => `{endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: ${port}}}}}`,
  )
  const text = `{cluster_name: c, endpoints: [{lb_endpoints: [${list.join(',')}]}]}`
  const result = compileEndpoints(envoyMessage.assignment(text), 'refuse')
  assert.ok(result.ok)
  return resolvedList(result.value)
}
