/** connectionPool and outlierDetection of a traffic policy; both also stand in the mesh's default policy. */
import { durationText } from '../schema/field-shape.ts'
import { atLeastOne } from '../schema/rule.ts'
import {
  bool,
  deprecated,
  int,
  int32Max,
  list,
  object,
  oneOf,
  required,
  uint32Max,
} from '../schema/shape.ts'
import type { Problem, Rule, Shape } from '../schema/shape.ts'
import type {
  ConnectionPoolSettings,
  HttpSettings,
  OutlierDetection,
  TcpKeepalive,
  TcpSettings,
} from './destination-rule.ts'

const int32 = (): Shape<number> => int({ min: 0, max: int32Max })
const uint32 = (): Shape<number> => int({ min: 0, max: uint32Max })

export function connectionPool(): Shape<ConnectionPoolSettings> {
  return object<ConnectionPoolSettings>(
    { tcp: tcpSettings(), http: httpSettings() },
    atLeastOne<ConnectionPoolSettings>('tcp', 'http'),
  )
}

function tcpSettings(): Shape<TcpSettings> {
  return object<TcpSettings>({
    maxConnections: int32(),
    connectTimeout: durationText(),
    tcpKeepalive: tcpKeepalive(),
    maxConnectionDuration: durationText(),
    // 0s switches it off, as the API's documentation says.
    idleTimeout: durationText({ isZeroAllowed: true }),
  })
}

/** Also the mesh's. */
export function tcpKeepalive(): Shape<TcpKeepalive> {
  return object<TcpKeepalive>({
    probes: uint32(),
    time: durationText(),
    interval: durationText(),
  })
}

function httpSettings(): Shape<HttpSettings> {
  return object<HttpSettings>(
    {
      http1MaxPendingRequests: int32(),
      http2MaxRequests: int32(),
      maxRequestsPerConnection: int32(),
      maxRetries: int32(),
      idleTimeout: durationText(),
      h2UpgradePolicy: oneOf('DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE'),
      useClientProtocol: bool(),
      maxConcurrentStreams: int32(),
      http2KeepAlive: object<NonNullable<HttpSettings['http2KeepAlive']>>({
        interval: required(durationText()),
        timeout: required(durationText()),
      }),
    },
    checkUpgrade,
  )
}

const checkUpgrade: Rule<HttpSettings> = (value, path, reading) => {
  if (value.h2UpgradePolicy !== 'UPGRADE' || value.useClientProtocol !== true) return
  reading.report(`${path}.useClientProtocol`, {
    message: 'useClientProtocol cannot be true when h2UpgradePolicy is UPGRADE',
    remedy: 'Remove one of the two.',
  })
}

export function outlierDetection(): Shape<OutlierDetection> {
  return object<OutlierDetection>(
    {
      consecutiveErrors: deprecated(int32(), (value) =>
        value === 0 ? undefined : honoured(value),
      ),
      splitExternalLocalOriginErrors: bool(),
      consecutiveLocalOriginFailures: uint32(),
      consecutiveGatewayErrors: uint32(),
      consecutive5xxErrors: uint32(),
      interval: durationText(),
      baseEjectionTime: durationText(),
      maxEjectionPercent: int({ min: 0, max: 100 }),
      minHealthPercent: int({ min: 0, max: 100 }),
      outlierDetectionHttpErrorCodes: list(int({ min: 100, max: 599 })),
    },
    checkLocalOrigin,
  )
}

function honoured(value: number): Problem {
  return {
    code: 'IST0133',
    message:
      `consecutiveErrors is deprecated; ${String(value)} is honoured as consecutiveGatewayErrors ` +
      '(502, 503, 504 and failures to connect), beside the default for 5xx. Istio ignores it',
    remedy: 'Use consecutiveGatewayErrors or consecutive5xxErrors instead.',
  }
}

const checkLocalOrigin: Rule<OutlierDetection> = (value, path, reading) => {
  const failures = value.consecutiveLocalOriginFailures ?? 0
  if (failures === 0 || value.splitExternalLocalOriginErrors === true) return
  reading.report(`${path}.consecutiveLocalOriginFailures`, {
    message: 'consecutiveLocalOriginFailures needs splitExternalLocalOriginErrors: true',
    remedy: 'Add splitExternalLocalOriginErrors: true, or remove consecutiveLocalOriginFailures.',
  })
}
