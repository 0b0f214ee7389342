/** Gives a workload its ports: each kept across restarts by its owner's name, none shared with another. */
import type { PortLeases } from './process/port-lease.ts'
import type { WorkloadAddresses, WorkloadPlan } from './workload-plan.ts'

export function leaseOwner(plan: WorkloadPlan): string {
  return `${plan.mesh.name}/${plan.namespace}/${plan.instance}`
}

export async function assignAddresses(
  plan: WorkloadPlan,
  leases: PortLeases,
): Promise<WorkloadAddresses> {
  const lease = (what: string) => leases.lease(`${leaseOwner(plan)}/${what}`)
  const ports: WorkloadAddresses['ports'][number][] = []
  for (const { name, servicePort, appPort } of plan.ports) {
    ports.push({
      name,
      servicePort,
      appPort: appPort === 0 ? await lease(`app/${name}`) : appPort,
      meshPort: await lease(`mesh/${name}`),
    })
  }
  const upstreams: WorkloadAddresses['upstreams'][number][] = []
  for (const { host, port } of plan.upstreams) {
    upstreams.push({ host, port, localPort: await lease(`upstream/${host}:${port}`) })
  }
  return {
    admin: `127.0.0.1:${plan.proxy.adminPort ?? (await lease('admin'))}`,
    httpProxyPort: await lease('http-proxy'),
    ports,
    upstreams,
  }
}
