import { pack } from '../../xds/any.ts'
/**
 * A workload's credentials as the two secrets that sidecars ask for by SDS, in Istio's names: `default` is its
 * certificate and key, `ROOTCA` whom to believe.
 *
 * `ROOTCA` is Envoy's SPIFFE validator: it compares the root of a chain with those of the trust domain that the
 * certificate names, so that no domain can speak for another.
 */
import { encodeResource } from '../../xds/encode.ts'
import { Secret } from '../../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/secret.ts'
import { SPIFFECertValidatorConfig } from '../../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config.ts'
import {
  typeUrls,
  type EncodedResource,
  type ResourceView,
  type ViewSource,
} from '../../xds/resource-set.ts'
import type { Credentials } from './credentials.ts'

export const secretNames = { own: 'default', roots: 'ROOTCA' } as const

const none: ReadonlyMap<string, EncodedResource> = new Map()

export class SecretSource implements ViewSource {
  readonly #listeners = new Set<() => void>()
  #view: ResourceView = { revision: '0', resources: () => none }

  set(credentials: Credentials): void {
    const secrets = new Map(
      [ownSecret(credentials), rootsSecret(credentials)].map((secret) => [secret.name, secret]),
    )
    this.#view = {
      revision: [...secrets.values()].map(({ version }) => version).join('-'),
      resources: (typeUrl) => (typeUrl === typeUrls.secret ? secrets : none),
    }
    for (const listener of this.#listeners) listener()
  }

  viewOf(): ResourceView {
    return this.#view
  }

  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }
}

function ownSecret({ keyPem, chainPem }: Credentials): EncodedResource {
  const message = Secret.fromPartial({
    name: secretNames.own,
    type: {
      $case: 'tlsCertificate',
      value: { certificateChain: inline(chainPem), privateKey: inline(keyPem) },
    },
  })
  return encoded(message)
}

function rootsSecret({ bundle }: Credentials): EncodedResource {
  const config = SPIFFECertValidatorConfig.fromPartial({
    trustDomains: bundle.trustDomains.map((name) => ({
      name,
      trustBundle: inline(bundle.rootsOf(name).map(String).join('')),
    })),
  })
  const message = Secret.fromPartial({
    name: secretNames.roots,
    type: {
      $case: 'validationContext',
      value: {
        customValidatorConfig: {
          name: 'envoy.tls.cert_validator.spiffe',
          typedConfig: pack(
            'envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig',
            SPIFFECertValidatorConfig,
            config,
          ),
        },
      },
    },
  })
  return encoded(message)
}

/** Bytes, not text: whoever dumps configuration leaves them out. */
function inline(pem: string) {
  return { specifier: { $case: 'inlineBytes' as const, value: Buffer.from(pem) } }
}

function encoded(message: Secret): EncodedResource {
  const { name } = message
  return encodeResource({ name, typeUrl: typeUrls.secret, codec: Secret, message })
}
