/** The roots that the mesh believes, as something that agents subscribe to (SDS): told of a change within a second. */
import type { TrustBundle } from '../../identity/trust-bundle.ts'
import {
  typeUrls,
  type EncodedResource,
  type ResourceView,
  type ViewSource,
} from '../../xds/resource-set.ts'
import { encodeTrustSecret } from '../../xds/trust-secret.ts'

const none: ReadonlyMap<string, EncodedResource> = new Map()

export class TrustView implements ViewSource {
  readonly #listeners = new Set<() => void>()
  #view: ResourceView

  constructor(bundle: TrustBundle) {
    this.#view = viewOfBundle(bundle)
  }

  set(bundle: TrustBundle): void {
    this.#view = viewOfBundle(bundle)
    for (const listener of this.#listeners) listener()
  }

  /** The same for everybody: roots are no secret. */
  viewOf(): ResourceView {
    return this.#view
  }

  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }
}

function viewOfBundle(bundle: TrustBundle): ResourceView {
  const secret = encodeTrustSecret(
    bundle.trustDomains.map((trustDomain) => ({
      trustDomain,
      rootsPem: bundle.rootsOf(trustDomain).map(String).join(''),
    })),
  )
  const secrets = new Map([[secret.name, secret]])
  return {
    revision: secret.version,
    resources: (typeUrl) => (typeUrl === typeUrls.secret ? secrets : none),
  }
}
