/**
 * Fields of Istio's MeshConfig and ProxyConfig that change nothing here, now or later, and why: they speak of what only a
 * Kubernetes cluster has, of captured traffic, or of the host that Istio's agent runs on. And those that are still to come.
 */

type Reasons = Readonly<Record<string, string>>

const ingress = "Kubernetes' Ingress resources are not read; use a Gateway or a VirtualService"
const captured = 'no connection is captured: each port of an application has a mesh port of its own'
const agentsOwn =
  'the agent writes the bootstrap itself, and knows where its files and programs are'

/** By name below `spec.meshConfig`. */
export const withoutMeaningInMesh: Reasons = {
  'caCertificates[].certSigners': 'there are no signers of Kubernetes to choose from',
  certificates: "Kubernetes' certificate API is not there",
  configSources: 'the mesh file says by `config` where configuration is read from',
  discoverySelectors:
    'namespaces are no objects here, and have no labels; what is in the files is read',
  ingressClass: ingress,
  ingressControllerMode: ingress,
  ingressSelector: ingress,
  ingressService: ingress,
  'inboundTrafficPolicy.mode=PASSTHROUGH':
    'the application is called on 127.0.0.1, where it listens; a Sidecar can name another place by defaultEndpoint',
  ...Object.fromEntries(
    ['perTryTimeout', 'retryRemoteLocalities', 'retryIgnorePreviousHosts'].map((name) => [
      `defaultInboundHttpRetryPolicy.${name}`,
      'Istio does not read it either: there is one application behind a sidecar',
    ]),
  ),
  proxyHttpPort: 'each workload has a port of its own, which its environment names',
  proxyInboundListenPort: captured,
  proxyListenPort: captured,
  serviceScopeConfigs: 'it is for several clusters in ambient mode',
  thriftConfig: 'Istio does not read it any more either',
  'verifyCertificateAtClient=false':
    'servers are always verified; a DestinationRule can say insecureSkipVerify',
}

/** By name below a ProxyConfig. */
export const withoutMeaningInProxy: Reasons = {
  availabilityZone: 'Istio does not read it any more either; a workload says its locality',
  binaryPath: agentsOwn,
  configPath: agentsOwn,
  controlPlaneAuthPolicy: 'the control plane is always called with TLS',
  customConfigFile: agentsOwn,
  discoveryAddress: 'the agent knows the control plane of its mesh',
  discoveryRefreshDelay: 'Istio does not read it any more either',
  'proxyHeaders.metadataExchangeHeaders':
    'sidecars exchange no metadata in headers: labels of the other side come from its endpoint',
  'proxyHeaders.xForwardedPort':
    'Envoy adds it where it is the first proxy on the way, which a sidecar is not',
  image: 'there is no container to take it for',
  interceptionMode: captured,
  meshId: 'the mesh file names the mesh',
  privateKeyProvider: 'keys are held in memory, by the program itself',
  proxyBootstrapTemplatePath: agentsOwn,
  sds: 'Istio does not read it any more either',
  statNameLength: 'names of statistics are not cut; Istio does not read it any more either',
}

const telemetry = 'metrics, spans and logs are not sent to other services yet'
const tracing = 'spans are not made yet'

/** Of later work, and what is the case until then. */
export const notYetInMesh: Reasons = {
  'caCertificates[].spiffeBundleUrl': 'bundles are not fetched; write the certificate as pem',
  defaultProviders: telemetry,
  disableEnvoyListenerLog: 'a connection that no filter chain is for is counted, and not logged',
  enableEnvoyAccessLogService: telemetry,
  enablePrometheusMerge: "the agent does not read the application's metrics; scrape both",
  enableTracing: tracing,
  extensionProviders: telemetry,
  hboneIdleTimeout: 'nothing travels by HBONE yet',
}

export const notYetInProxy: Reasons = {
  envoyAccessLogService: telemetry,
  envoyMetricsService: telemetry,
  fileFlushInterval: 'lines of the access log leave after a moment, or when enough have come',
  fileFlushMinSizeKb: 'lines of the access log leave after a moment, or when enough have come',
  gatewayTopology: 'it is for gateways, which are not there yet',
  statsdUdpAddress: telemetry,
  tracing,
  zipkinAddress: tracing,
}
