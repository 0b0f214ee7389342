/**
 * The stats of TLS, of a listener or a cluster: Envoy's `ssl.…`, and one counter for each reason of ours.
 *
 * A handshake may end after its listener or cluster has gone, and an alert may come later still; the slots may be somebody
 * else's then, so counters that were closed count nothing.
 */
import type { Counter, TlsStats } from './cluster-stats.ts'
import type { StatScope, StatNaming, StatsRegistry } from './stats-registry.ts'

export function createTlsStats(scope: ClosableScope, side: 'downstream' | 'upstream'): TlsStats {
  const counter = (name: string): Counter => scope.counter(`ssl.${name}`)
  return {
    handshake: counter('handshake'),
    sessionReused: counter('session_reused'),
    noCertificate: counter('no_certificate'),
    connectionError: counter('connection_error'),
    failVerifyNoCert: counter('fail_verify_no_cert'),
    failVerifyError: counter('fail_verify_error'),
    failVerifySan: counter('fail_verify_san'),
    failVerifyCertHash: counter('fail_verify_cert_hash'),
    secretsNotReady: scope.counter(`${side}_context_secrets_not_ready`),
    refused: labelled(scope, { prefix: 'refused', metric: 'ssl_refused', label: 'reason' }),
    version: labelled(scope, {
      prefix: 'versions',
      metric: 'ssl_versions',
      label: 'envoy_ssl_version',
    }),
    close: () => scope.close(),
    cipher: labelled(scope, {
      prefix: 'ciphers',
      metric: 'ssl_ciphers',
      label: 'envoy_ssl_cipher',
    }),
  }
}

/** Of a cluster's transport sockets; they count under the cluster's name while any of them lives. */
export function createUpstreamTlsStats(registry: StatsRegistry, clusterName: string): TlsStats {
  const scope = closable(
    registry.scope({
      path: `cluster.${clusterName}`,
      metric: 'envoy_cluster',
      labels: [['envoy_cluster_name', clusterName]],
    }),
  )
  return createTlsStats(scope, 'upstream')
}

/** A scope of counters that are silent after it was closed. */
export interface ClosableScope {
  counter(name: string, naming?: StatNaming): Counter
  close(): void
}

export function closable(scope: StatScope): ClosableScope {
  let isClosed = false
  return {
    counter(name, naming) {
      if (isClosed) return silentCounter
      const counter = scope.counter(name, naming)
      return {
        add(amount) {
          if (!isClosed) counter.add(amount)
        },
        value: () => (isClosed ? 0 : counter.value()),
      }
    },
    close() {
      isClosed = true
      scope.close()
    },
  }
}

const silentCounter: Counter = { add() {}, value: () => 0 }

interface Labelled {
  readonly prefix: string
  readonly metric: string
  readonly label: string
}

/** Values are of closed sets: our reasons, and what OpenSSL can speak. */
function labelled(scope: ClosableScope, names: Labelled): (value: string) => Counter {
  const counters = new Map<string, Counter>()
  const { prefix, metric, label } = names
  return (value) => {
    let counter = counters.get(value)
    if (counter === undefined) {
      counter = scope.counter(`ssl.${prefix}.${value}`, { metric, labels: [[label, value]] })
      counters.set(value, counter)
    }
    return counter
  }
}
