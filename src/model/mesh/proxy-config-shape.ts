/**
 * `meshConfig.defaultConfig` of the mesh file: the fields of Istio's ProxyConfig that say how a workload ends. Istio's
 * others are known by name and reported as having no effect.
 */
import { durationText } from '../schema/field-shape.ts'
import { objectAlsoKnowing, oneOf, type Shape } from '../schema/shape.ts'
import { notYetInProxy, withoutMeaningInProxy } from './mesh-config-effect.ts'
import type { ProxyConfig, ProxyMetadata } from './mesh-config.ts'

/** Istio's others. Those that are to be read are in the table of effects as such. */
export const unreadProxyConfigFields: readonly string[] = [
  ...notYetInProxy,
  ...Object.keys(withoutMeaningInProxy),
  ...(
    'caCertificatesPem concurrency extraStatTags holdApplicationUntilProxyStarts proxyAdminPort proxyHeaders ' +
    'proxyStatsMatcher readinessProbe runtimeValues serviceCluster statusPort tracingServiceName'
  ).split(' '),
]

/** Variables of Istio's agent; another one is a mistake here, because there is no agent of Istio's to read it. */
const proxyMetadata: Shape<ProxyMetadata> = objectAlsoKnowing<ProxyMetadata>([], {
  EXIT_ON_ZERO_ACTIVE_CONNECTIONS: oneOf('true', 'false'),
  MINIMUM_DRAIN_DURATION: durationText({ isZeroAllowed: true }),
})

export const proxyConfigShape: Shape<ProxyConfig> = objectAlsoKnowing<ProxyConfig>(
  unreadProxyConfigFields,
  {
    drainDuration: durationText(),
    terminationDrainDuration: durationText({ isZeroAllowed: true }),
    proxyMetadata,
  },
)
