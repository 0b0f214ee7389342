/**
 * A workload's credentials as the two secrets that sidecars ask for by SDS, in Istio's names: `default` is its
 * certificate and key, `ROOTCA` whom to believe.
 *
 * `ROOTCA` is Envoy's SPIFFE validator: it compares the root of a chain with those of the trust domain that the
 * certificate names, so that no domain can speak for another.
 */
import { encodeResource } from '../../xds/encode.ts'
import { Secret } from '../../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/secret.ts'
import {
  typeUrls,
  type EncodedResource,
  type ResourceView,
  type ViewSource,
  viewOfType,
} from '../../xds/resource-set.ts'
import { encodeTrustSecret } from '../../xds/trust-secret.ts'
import type { Credentials } from './credentials.ts'

const ownSecretName = 'default'

/** Roots that the configuration names beside those of the authority. */
export interface MoreRoots {
  /** Names of the domain that they speak for. */
  readonly trustDomains: readonly string[]
  readonly pem: readonly string[]
}

export class SecretSource implements ViewSource {
  readonly #more: MoreRoots
  readonly #listeners = new Set<() => void>()
  #view = viewOfType(typeUrls.secret, { revision: '0', resources: new Map() })

  constructor(more: MoreRoots = { trustDomains: [], pem: [] }) {
    this.#more = more
  }

  set(credentials: Credentials): void {
    const secrets = new Map(
      [ownSecret(credentials), rootsSecret(credentials, this.#more)].map((secret) => [
        secret.name,
        secret,
      ]),
    )
    this.#view = viewOfType(typeUrls.secret, {
      revision: [...secrets.values()].map(({ version }) => version).join('-'),
      resources: secrets,
    })
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
  const name = ownSecretName
  const message = Secret.fromPartial({
    name,
    type: {
      $case: 'tlsCertificate',
      value: { certificateChain: inline(chainPem), privateKey: inline(keyPem) },
    },
  })
  return encodeResource({ name, typeUrl: typeUrls.secret, codec: Secret, message })
}

function rootsSecret({ bundle }: Credentials, more: MoreRoots): EncodedResource {
  return encodeTrustSecret(
    bundle.trustDomains.map((trustDomain) => ({
      trustDomain,
      rootsPem: [
        ...bundle.rootsOf(trustDomain).map(String),
        ...(more.trustDomains.includes(trustDomain) ? more.pem : []),
      ]
        .map((pem) => `${pem.trim()}\n`)
        .join(''),
    })),
  )
}

/** Bytes, not text: whoever dumps configuration leaves them out. */
function inline(pem: string) {
  return { specifier: { $case: 'inlineBytes' as const, value: Buffer.from(pem) } }
}
