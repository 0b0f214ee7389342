/** What we read of a ClusterLoadAssignment (EDS, or a cluster's own `load_assignment`). */
import { type MessageRule, ignored, refusedField, used } from './field-rule.ts'
import { endpointCheckRule } from './health-check-fields.ts'

const socketAddress: MessageRule = {
  type: 'envoy.config.core.v3.SocketAddress',
  fields: {
    protocol: used(undefined, 'TCP only'),
    address: used(),
    portValue: used(),
    namedPort: refusedField('named ports are not implemented'),
    resolverName: refusedField('custom resolvers are not implemented'),
    ipv4Compat: refusedField('IPv4-mapped addresses are not implemented'),
  },
}

export const addressRule: MessageRule = {
  type: 'envoy.config.core.v3.Address',
  fields: {
    socketAddress: used(socketAddress),
    pipe: used({
      type: 'envoy.config.core.v3.Pipe',
      fields: { path: used(), mode: used(undefined, 'listeners and the admin interface') },
    }),
    envoyInternalAddress: used({
      type: 'envoy.config.core.v3.EnvoyInternalAddress',
      fields: { serverListenerName: used(), endpointId: used() },
    }),
  },
}

export const metadataRule: MessageRule = {
  type: 'envoy.config.core.v3.Metadata',
  fields: {
    filterMetadata: used(
      undefined,
      '`istio`, `envoy.transport_socket_match`, the hash key of `envoy.lb`; all of it for logs and headers',
    ),
    typedFilterMetadata: ignored('no reader of typed metadata exists here'),
  },
}

const endpoint: MessageRule = {
  type: 'envoy.config.endpoint.v3.Endpoint',
  fields: {
    address: used(addressRule),
    hostname: used(),
    healthCheckConfig: used(endpointCheckRule),
    additionalAddresses: used(
      {
        type: 'envoy.config.endpoint.v3.Endpoint.AdditionalAddress',
        fields: { address: used(addressRule) },
      },
      'of endpoints whose address is no name',
    ),
  },
}

const lbEndpoint: MessageRule = {
  type: 'envoy.config.endpoint.v3.LbEndpoint',
  fields: {
    endpoint: used(endpoint),
    endpointName: refusedField('named endpoints are not implemented'),
    healthStatus: used(),
    metadata: used(metadataRule),
    loadBalancingWeight: used(),
  },
}

const localityEndpoints: MessageRule = {
  type: 'envoy.config.endpoint.v3.LocalityLbEndpoints',
  fields: {
    locality: used({
      type: 'envoy.config.core.v3.Locality',
      fields: { region: used(), zone: used(), subZone: used() },
    }),
    metadata: ignored('locality metadata is only read by subset load balancing, which is refused'),
    lbEndpoints: used(lbEndpoint),
    loadBalancerEndpoints: refusedField('endpoint lists beside lb_endpoints are not implemented'),
    ledsClusterLocalityConfig: refusedField('LEDS is not implemented'),
    loadBalancingWeight: used(undefined, 'with locality_weighted_lb_config'),
    priority: used(),
    proximity: ignored('Envoy does not use it either'),
  },
}

export const assignmentRule: MessageRule = {
  type: 'envoy.config.endpoint.v3.ClusterLoadAssignment',
  fields: {
    clusterName: used(),
    endpoints: used(localityEndpoints),
    namedEndpoints: refusedField('named endpoints are not implemented'),
    policy: used({
      type: 'envoy.config.endpoint.v3.ClusterLoadAssignment.Policy',
      fields: {
        dropOverloads: refusedField('drop_overloads is not implemented yet'),
        overprovisioningFactor: used(),
        endpointStaleAfter: refusedField('stale endpoints are not implemented yet'),
        weightedPriorityHealth: refusedField('weighted_priority_health is not implemented'),
      },
    }),
  },
}
