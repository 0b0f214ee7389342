/** What a data plane says of its clusters and listeners: plain data, for the admin interface and for `status()`. */
import type { LiveCluster } from '../cluster/live-cluster.ts'
import type { LiveHost } from '../cluster/live-host.ts'
import type { Listener } from '../listener/listener.ts'
import type { ClusterStatus, HostStatus, ListenerStatus } from './data-plane.ts'
import type { LiveListener } from './live-listener.ts'

export function clusterStatus(cluster: LiveCluster): ClusterStatus {
  const { config } = cluster
  return {
    name: cluster.name,
    type: config.type,
    edsName: config.type === 'eds' ? config.edsName : undefined,
    limits: config.breakerLimits,
    averages: cluster.outlierDetector?.averages(),
    hosts: cluster.hosts.map((host) => hostStatus(cluster, host)),
  }
}

export function listenerStatus(entry: {
  readonly listener: Listener
  readonly live: LiveListener
}): ListenerStatus {
  const { listener, live } = entry
  return {
    name: live.plan.name,
    address: listener.address,
    trafficDirection: live.plan.trafficDirection,
    connectionsActive: listener.connectionsActive,
    overflowTotal: listener.overflowTotal,
    routeName: live.routeName,
  }
}

/** Without outlier detection. */
const noOutlierState = {
  successRate: -1,
  localOriginSuccessRate: -1,
  ejectionRemainingMs: 0,
  ejectionsInARow: 0,
  consecutive5xx: 0,
  consecutiveGatewayFailure: 0,
}

function hostStatus(cluster: LiveCluster, host: LiveHost): HostStatus {
  const { stats } = host
  const outlier = cluster.outlierDetector?.state(host)
  return {
    address: host.address,
    addressText: host.addressText,
    hostname: host.hostname,
    weight: host.weight,
    locality: host.locality,
    edsHealth: host.healthStatus,
    active: host.active && { ...host.active },
    isPendingRemoval: host.isPendingRemoval,
    priority: host.priority,
    ...(outlier ?? noOutlierState),
    isEjected: host.isEjected,
    stats: {
      cx_active: stats.cxActive.value(),
      cx_connect_fail: stats.cxConnectFail.value(),
      cx_total: stats.cxTotal.value(),
      rq_active: stats.rqActive.value(),
      rq_error: stats.rqError.value(),
      rq_success: stats.rqSuccess.value(),
      rq_timeout: stats.rqTimeout.value(),
      rq_total: stats.rqTotal.value(),
    },
  }
}
