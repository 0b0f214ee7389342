/**
 * The roots of a mesh as the secret `ROOTCA`: Envoy's SPIFFE validator, which believes each root for its own trust
 * domain only. The control plane pushes it to agents, and an agent's proxy gets it in the same form.
 */
import { pack, unpack } from './any.ts'
import { encodeResource } from './encode.ts'
import { Secret } from './proto/generated/envoy/extensions/transport_sockets/tls/v3/secret.ts'
import { SPIFFECertValidatorConfig } from './proto/generated/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config.ts'
import { typeUrls, type EncodedResource } from './resource-set.ts'

export const trustSecretName = 'ROOTCA'

export interface DomainRoots {
  readonly trustDomain: string
  /** PEM of all roots, the signing one first. */
  readonly rootsPem: string
}

const validatorType = 'envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig'

export function encodeTrustSecret(domains: readonly DomainRoots[]): EncodedResource {
  const config = SPIFFECertValidatorConfig.fromPartial({
    trustDomains: domains.map(({ trustDomain, rootsPem }) => ({
      name: trustDomain,
      trustBundle: { specifier: { $case: 'inlineBytes', value: Buffer.from(rootsPem) } },
    })),
  })
  const message = Secret.fromPartial({
    name: trustSecretName,
    type: {
      $case: 'validationContext',
      value: {
        customValidatorConfig: {
          name: 'envoy.tls.cert_validator.spiffe',
          typedConfig: pack(validatorType, SPIFFECertValidatorConfig, config),
        },
      },
    },
  })
  return encodeResource({ name: trustSecretName, typeUrl: typeUrls.secret, codec: Secret, message })
}

/** Empty when the secret is of another kind. Throws MESH_XDS_PROTOCOL when it is broken. */
export function decodeTrustSecret(value: Uint8Array): readonly DomainRoots[] {
  const { type } = unpack(typeUrls.secret, Secret, { typeUrl: typeUrls.secret, value })
  const typedConfig =
    type?.$case === 'validationContext' ? type.value.customValidatorConfig?.typedConfig : undefined
  if (typedConfig === undefined) return []
  const { trustDomains } = unpack(validatorType, SPIFFECertValidatorConfig, typedConfig)
  return trustDomains.map(({ name, trustBundle }) => {
    const specifier = trustBundle?.specifier
    const isInline = specifier?.$case === 'inlineBytes' || specifier?.$case === 'inlineString'
    return { trustDomain: name, rootsPem: isInline ? String(specifier.value) : '' }
  })
}
