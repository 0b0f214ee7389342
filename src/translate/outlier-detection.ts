/**
 * A DestinationRule's `outlierDetection` as Envoy's, as Istio translates it, with two deliberate differences
 * (docs/differences-from-istio.md): `consecutiveErrors` keeps the meaning that it had, and at least one host
 * may be ejected when no percentage is written.
 */
import type { OutlierDetection as Settings } from '../model/istio/destination-rule.ts'
import { OutlierDetection } from '../xds/proto/generated/envoy/config/cluster/v3/outlier_detection.ts'
import { durationOfText } from './message.ts'

type Message = ReturnType<typeof OutlierDetection.fromPartial>

export function translateOutlierDetection(settings: Settings): Message {
  return OutlierDetection.fromPartial({
    // Istio turns success rates off: they need more traffic than most services have.
    enforcingSuccessRate: 0,
    ...consecutiveErrors(settings),
    ...localOriginErrors(settings),
    interval: durationOfText(settings.interval),
    baseEjectionTime: durationOfText(settings.baseEjectionTime),
    ...ejectionLimit(settings),
  })
}

function consecutiveErrors(settings: Settings) {
  const gatewayErrors = settings.consecutiveGatewayErrors ?? settings.consecutiveErrors
  const serverErrors = settings.consecutive5xxErrors
  return {
    ...(serverErrors !== undefined && {
      consecutive5xx: serverErrors,
      enforcingConsecutive5xx: serverErrors > 0 ? 100 : 0,
    }),
    ...(gatewayErrors !== undefined && {
      consecutiveGatewayFailure: gatewayErrors,
      enforcingConsecutiveGatewayFailure: gatewayErrors > 0 ? 100 : 0,
    }),
  }
}

function localOriginErrors(settings: Settings) {
  if (settings.splitExternalLocalOriginErrors !== true) return {}
  const failures = settings.consecutiveLocalOriginFailures ?? 0
  return {
    splitExternalLocalOriginErrors: true,
    enforcingLocalOriginSuccessRate: 0,
    ...(failures > 0 && {
      consecutiveLocalOriginFailure: failures,
      enforcingConsecutiveLocalOriginFailure: 100,
    }),
  }
}

/** Envoy's default of 10 per cent ejects nothing from fewer than ten hosts. */
function ejectionLimit(settings: Settings) {
  const percent = settings.maxEjectionPercent
  if (percent === undefined) return { alwaysEjectOneHost: true }
  // Istio takes a written 0 for Envoy's default.
  return percent > 0 ? { maxEjectionPercent: percent } : {}
}
