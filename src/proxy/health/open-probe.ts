/** The probe of each kind of health check. */
import { GrpcProbe } from './grpc-probe.ts'
import type { ProbeSettings } from './health-settings.ts'
import { HttpProbe } from './http-probe.ts'
import type { Probe, ProbeScope, ProbeTarget } from './probe.ts'
import { TcpProbe } from './tcp-probe.ts'

export function openProbe(settings: ProbeSettings, target: ProbeTarget, scope: ProbeScope): Probe {
  if (settings.kind === 'http') return new HttpProbe(settings, target, scope)
  if (settings.kind === 'grpc') return new GrpcProbe(settings, target, scope)
  return new TcpProbe(settings, target, scope)
}
