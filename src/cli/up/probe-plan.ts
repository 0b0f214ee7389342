/** Turns a probe as WorkloadGroup writes it, in seconds and with defaults left out, into the agent's. */
import type { PlannedProbe } from '../../agent/workload-plan.ts'
import { MeshError } from '../../lib/mesh-error.ts'
import type { HttpGetProbe, ReadinessProbe } from '../../model/istio/workload-group.ts'

type PlannedAction = PlannedProbe['action']

/** Zero means the default, as in Istio's agent. */
export function planProbe(workload: string, probe: ReadinessProbe): PlannedProbe {
  return {
    action: planAction(workload, probe),
    initialDelayMs: (probe.initialDelaySeconds ?? 0) * 1_000,
    timeoutMs: (probe.timeoutSeconds || 1) * 1_000,
    periodMs: (probe.periodSeconds || 10) * 1_000,
    successThreshold: probe.successThreshold || 1,
    failureThreshold: probe.failureThreshold || 3,
  }
}

function planAction(workload: string, probe: ReadinessProbe): PlannedAction {
  if (probe.httpGet !== undefined) return planHttp(probe.httpGet)
  if (probe.tcpSocket !== undefined) {
    const { host, port } = probe.tcpSocket
    return { kind: 'tcp', host: host ?? '127.0.0.1', port: port || undefined }
  }
  if (probe.exec !== undefined) return { kind: 'exec', command: probe.exec.command }
  if (probe.grpc !== undefined) {
    const { port, service = '' } = probe.grpc
    return { kind: 'grpc', host: '127.0.0.1', port: port || undefined, service }
  }
  throw new MeshError('MESH_CONFIG_REJECTED', `workload ${workload}: its probe asks nothing`, {
    remedy: 'add httpGet, tcpSocket, grpc or exec, or leave probe out',
  })
}

function planHttp(httpGet: HttpGetProbe): PlannedAction {
  return {
    kind: 'http',
    scheme: httpGet.scheme?.toUpperCase() === 'HTTPS' ? 'https' : 'http',
    host: httpGet.host ?? '127.0.0.1',
    port: httpGet.port || undefined,
    path: httpGet.path ?? '/',
    headers: (httpGet.httpHeaders ?? []).map(({ name, value }) => [name ?? '', value ?? '']),
  }
}
