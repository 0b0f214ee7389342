/** What we read of a cluster's active health check. */
import { type FieldRule, type MessageRule, refusedField, used } from './field-rule.ts'

export const fileSinkRule: MessageRule = {
  type: 'envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink',
  fields: { eventLogPath: used() },
}

const payload: MessageRule = {
  type: 'envoy.config.core.v3.HealthCheck.Payload',
  fields: { text: used(undefined, 'hexadecimal'), binary: used() },
}

const range: MessageRule = {
  type: 'envoy.type.v3.Int64Range',
  fields: { start: used(), end: used(undefined, 'excluded') },
}

/** The values are checked where they are compiled. */
const headers: FieldRule = used()

const http: MessageRule = {
  type: 'envoy.config.core.v3.HealthCheck.HttpHealthCheck',
  fields: {
    host: used(undefined, 'the cluster’s name unless set; an endpoint may have its own'),
    path: used(),
    send: used(payload),
    receive: used(payload),
    responseBufferSize: used(),
    requestHeadersToAdd: headers,
    requestHeadersToRemove: headers,
    expectedStatuses: used(range),
    retriableStatuses: used(range),
    codecClientType: used(undefined, 'HTTP1 and HTTP2'),
    serviceNameMatcher: used(),
    method: used(undefined, 'every method but CONNECT'),
  },
}

const tcp: MessageRule = {
  type: 'envoy.config.core.v3.HealthCheck.TcpHealthCheck',
  fields: {
    send: used(payload),
    receive: used(payload),
    proxyProtocolConfig: used({
      type: 'envoy.config.core.v3.ProxyProtocolConfig',
      fields: {
        version: used(),
        passThroughTlvs: refusedField('TLVs in PROXY headers are not implemented'),
        addedTlvs: refusedField('TLVs in PROXY headers are not implemented'),
      },
    }),
  },
}

const grpc: MessageRule = {
  type: 'envoy.config.core.v3.HealthCheck.GrpcHealthCheck',
  fields: { serviceName: used(), authority: used(), initialMetadata: headers },
}

export const healthCheckRule: MessageRule = {
  type: 'envoy.config.core.v3.HealthCheck',
  fields: {
    timeout: used(),
    interval: used(),
    initialJitter: used(),
    intervalJitter: used(),
    intervalJitterPercent: used(),
    unhealthyThreshold: used(),
    healthyThreshold: used(),
    altPort: refusedField(
      'Envoy does not implement it either: health_check_config.port_value of each endpoint says it',
    ),
    reuseConnection: used(),
    httpHealthCheck: used(http),
    tcpHealthCheck: used(tcp),
    grpcHealthCheck: used(grpc),
    customHealthCheck: refusedField('custom health checks are not implemented'),
    noTrafficInterval: used(),
    noTrafficHealthyInterval: used(),
    unhealthyInterval: used(),
    unhealthyEdgeInterval: used(),
    healthyEdgeInterval: used(),
    eventLogPath: used(),
    eventLogger: used(undefined, 'HealthCheckEventFileSink'),
    eventService: refusedField('an event service is not implemented: use event_logger'),
    alwaysLogHealthCheckFailures: used(),
    alwaysLogHealthCheckSuccess: used(),
    tlsOptions: used({
      type: 'envoy.config.core.v3.HealthCheck.TlsOptions',
      fields: { alpnProtocols: used() },
    }),
    transportSocketMatchCriteria: used(),
  },
}

export const endpointCheckRule: MessageRule = {
  type: 'envoy.config.endpoint.v3.Endpoint.HealthCheckConfig',
  fields: {
    portValue: used(),
    hostname: used(),
    address: used(undefined, 'an address, not a name'),
    disableActiveHealthCheck: used(),
  },
}
