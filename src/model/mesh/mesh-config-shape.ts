/** meshConfig of the mesh file: Istio's MeshConfig by its own names, and two settings of ours. */
import { connectionPool, outlierDetection, tcpKeepalive } from '../istio/connection-pool-shape.ts'
import { retries } from '../istio/http-action-shape.ts'
import { localityLbSetting, zoneAwareLbSetting } from '../istio/locality-shape.ts'
import { durationText, exportTo } from '../schema/field-shape.ts'
import { isIstioLabel } from '../schema/host-format.ts'
import { dnsLabel } from '../schema/name-format.ts'
import { exactlyOne } from '../schema/rule.ts'
import { bool, clip, list, object, objectAlsoKnowing, oneOf, text } from '../schema/shape.ts'
import type { Check, Shape } from '../schema/shape.ts'
import { serviceEntryVisibility } from './entry-visibility-shape.ts'
import { notYetInMesh, withoutMeaningInMesh } from './mesh-config-effect.ts'
import type { CaCertificate, MeshConfig } from './mesh-config.ts'
import { meshTls, serviceSettings, statName, tlsDefaults } from './mesh-setting-shape.ts'
import { certificate, proxyConfigShape } from './proxy-config-shape.ts'

/** Istio's other fields: known by name, so that a copied MeshConfig is told apart from a misspelt one. */
export const unreadMeshConfigFields: readonly string[] = [
  ...Object.keys(notYetInMesh),
  ...Object.keys(withoutMeaningInMesh),
].filter((name) => !/[.=[]/.test(name) && name !== 'enableTracing')

export const checkTrustDomain: Check<string> = (value) => {
  const parts = value.replace(/\.$/, '').split('.')
  // SPIFFE ids know lower case only.
  return parts.every((part) => isIstioLabel(part)) && value === value.toLowerCase()
    ? undefined
    : {
        message: `must be a trust domain such as cluster.local, got "${clip(value)}"`,
        remedy: 'Use lower-case letters, digits, "-" and ".".',
      }
}

export const meshConfigShape: Shape<MeshConfig> = objectAlsoKnowing<MeshConfig>(
  unreadMeshConfigFields,
  {
    outboundTrafficPolicy: object<NonNullable<MeshConfig['outboundTrafficPolicy']>>({
      mode: oneOf('ALLOW_ANY', 'REGISTRY_ONLY', 'ALLOW_ANY_DYNAMIC_DNS'),
    }),
    accessLogFile: text(),
    accessLogFormat: text(),
    accessLogEncoding: oneOf('TEXT', 'JSON'),
    connectTimeout: durationText(),
    rootNamespace: text(dnsLabel),
    trustDomain: text(checkTrustDomain),
    trustDomainAliases: list(text(checkTrustDomain)),
    defaultServiceExportTo: exportTo({ isNobodyAllowed: true }),
    serviceEntryVisibility: serviceEntryVisibility(),
    defaultVirtualServiceExportTo: exportTo(),
    defaultDestinationRuleExportTo: exportTo(),
    defaultHttpRetryPolicy: retries(),
    defaultTrafficPolicy: object<NonNullable<MeshConfig['defaultTrafficPolicy']>>({
      connectionPool: connectionPool(),
      outlierDetection: outlierDetection(),
    }),
    localityLbSetting: localityLbSetting(),
    zoneAwareLbSetting: zoneAwareLbSetting(),
    h2UpgradePolicy: oneOf('DO_NOT_UPGRADE', 'UPGRADE'),
    protocolDetectionTimeout: durationText({ isZeroAllowed: true }),
    dnsRefreshRate: durationText(),
    enableAutoMtls: bool(),
    caCertificates: list(
      object<CaCertificate>(
        {
          pem: text(certificate),
          spiffeBundleUrl: text(),
          certSigners: list(text()),
          trustDomains: list(text(checkTrustDomain)),
        },
        exactlyOne<CaCertificate>('pem', 'spiffeBundleUrl'),
      ),
    ),
    meshMTLS: meshTls(),
    tlsDefaults: tlsDefaults(),
    verifyCertificateAtClient: bool(),
    inboundClusterStatName: statName('inbound'),
    outboundClusterStatName: statName('outbound'),
    tcpKeepalive: tcpKeepalive(),
    defaultInboundHttpRetryPolicy: retries(),
    inboundTrafficPolicy: object<NonNullable<MeshConfig['inboundTrafficPolicy']>>({
      mode: oneOf('PASSTHROUGH', 'LOCALHOST'),
    }),
    serviceSettings: serviceSettings(),
    certificateLifetime: durationText(),
    mtlsMode: oneOf('STRICT', 'PERMISSIVE', 'DISABLE'),
    enableTracing: bool(),
    pathNormalization: object<NonNullable<MeshConfig['pathNormalization']>>({
      normalization: oneOf('DEFAULT', 'NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'),
    }),
    inferSubsets: bool(),
    onDemand: oneOf('AUTO', 'ON', 'OFF'),
    workloadGracePeriod: durationText({ isZeroAllowed: true }),
    defaultConfig: proxyConfigShape,
  },
  (value, path, reading) => {
    if (value.defaultHttpRetryPolicy?.perTryTimeout === undefined) return
    reading.report(`${path}.defaultHttpRetryPolicy.perTryTimeout`, {
      message: 'perTryTimeout is not allowed in the default retry policy of the mesh',
      remedy: 'Set it in the routes of a VirtualService.',
    })
  },
)
