/**
 * Envoy's dynamic forward proxy: the cluster and the filter that resolve the name which the client asked for.
 *
 * Istio sends traffic for unknown hosts to its original destination. An explicit proxy knows no original
 * destination, only the name, so it resolves it. Cluster and filter must share one cache configuration.
 */
import { Cluster_DnsLookupFamily } from '../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import { ClusterConfig } from '../xds/proto/generated/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster.ts'
import { FilterConfig } from '../xds/proto/generated/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy.ts'
import { packed } from './message.ts'

const dnsCacheConfig = {
  name: 'dynamic_forward_proxy_cache_config',
  dnsLookupFamily: Cluster_DnsLookupFamily.V4_PREFERRED,
}

/** The `cluster_type` of a cluster that resolves names on demand. */
export function dynamicForwardProxy() {
  return {
    $case: 'clusterType' as const,
    value: {
      name: 'envoy.clusters.dynamic_forward_proxy',
      typedConfig: packed(
        ClusterConfig,
        'envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig',
        {
          clusterImplementationSpecifier: { $case: 'dnsCacheConfig', value: dnsCacheConfig },
        },
      ),
    },
  }
}

/** Does nothing for requests that go to other clusters. */
export function dynamicForwardProxyFilter() {
  return {
    name: 'envoy.filters.http.dynamic_forward_proxy',
    configType: {
      $case: 'typedConfig' as const,
      value: packed(
        FilterConfig,
        'envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig',
        { implementationSpecifier: { $case: 'dnsCacheConfig', value: dnsCacheConfig } },
      ),
    },
  }
}
