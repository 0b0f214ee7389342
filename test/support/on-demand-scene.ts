/** A caller on demand: its bootstrap, a mesh and its services. */
export const hostname = (name: string): string => `${name}.default.svc.cluster.local`

export function serviceYaml(name: string, port: number): string {
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: default }
spec:
  hosts: [${hostname(name)}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 8080, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: ${port} } }]
`
}

export const meshYaml = (mode: string): string => `
apiVersion: tulle.dev/v1alpha1
kind: Mesh
metadata: { name: on-demand, namespace: default }
spec:
  meshConfig:
    outboundTrafficPolicy: { mode: ${mode} }
    enableAutoMtls: false
  config: [ ./config ]
`

/** `ADMIN_ADDRESS` among the metadata is where its admin listens. */
export function onDemandBootstrap(
  xds: string,
  proxyPort: number,
  more: { readonly ADMIN_ADDRESS?: string } & object = {},
): string {
  const { ADMIN_ADDRESS: admin = '127.0.0.1:0' } = more
  const [address, port] = xds.split(':')
  const socketAddress = { address, port_value: Number(port) }
  const ads = { ads: {}, initial_fetch_timeout: '0s', resource_api_version: 'V3' }
  const http = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
  return JSON.stringify({
    node: {
      id: `sidecar~127.0.0.1~caller-${proxyPort}.default~default.svc.cluster.local`,
      cluster: 'caller',
      metadata: {
        NAMESPACE: 'default',
        WORKLOAD_NAME: 'caller',
        HTTP_PROXY_PORT: proxyPort,
        ON_DEMAND: 'on',
        ...more,
      },
    },
    admin: {
      address: {
        socket_address: { address: '127.0.0.1', port_value: Number(admin.split(':').at(-1)) },
      },
    },
    bootstrap_extensions: [
      {
        name: 'envoy.bootstrap.internal_listener',
        typed_config: {
          '@type':
            'type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener',
        },
      },
    ],
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'xds-grpc' } }],
      },
      lds_config: ads,
      cds_config: ads,
    },
    static_resources: {
      clusters: [
        {
          name: 'xds-grpc',
          type: 'STATIC',
          typed_extension_protocol_options: {
            [http]: {
              '@type': `type.googleapis.com/${http}`,
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: {
            cluster_name: 'xds-grpc',
            endpoints: [
              { lb_endpoints: [{ endpoint: { address: { socket_address: socketAddress } } }] },
            ],
          },
        },
      ],
    },
  })
}
