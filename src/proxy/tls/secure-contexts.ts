/**
 * OpenSSL contexts, shared by all listeners and clusters that need the same: a mesh of a thousand services has one
 * certificate and one bundle, and so one context for all its clusters, made again at each rotation.
 *
 * Ceiling: `contextsMax` are kept for sharing, the oldest go first; one that is in use lives on with its users.
 */
import { constants, hash } from 'node:crypto'
import { type SecureContext, type SecureContextOptions, createSecureContext } from 'node:tls'

import { PeerMemory } from './peer-memory.ts'
import type { KeyPair, TlsPlan, Validation } from './tls-plan.ts'

export interface SharedContext {
  readonly context: SecureContext
  readonly peers: PeerMemory
}

export interface ContextParts {
  readonly plan: Pick<
    TlsPlan,
    'minVersion' | 'maxVersion' | 'ciphers' | 'curves' | 'signatures'
  > & {
    readonly resumes: boolean
    /** Server only: seconds that a session ticket is good for. */
    readonly sessionTimeoutSeconds?: number | undefined
  }
  readonly pairs: readonly KeyPair[]
  readonly validation: Validation | undefined
  readonly side: 'client' | 'server'
}

const contextsMax = 64
/** Servers that ask for certificates must say which application a session is for (SSL_CTX_set_session_id_context). */
const sessionIdContext = 'tulle'
/** Envoy's list for TLS 1.2. */
const defaultCiphers = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
]
/** And of TLS 1.3, the cheapest on hardware with AES first. */
const tls13Ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
]

export class SecureContexts {
  readonly #shared = new Map<string, SharedContext>()

  /** Throws what OpenSSL says of a key that does not fit its certificate. */
  get(parts: ContextParts): SharedContext {
    const options = contextOptions(parts)
    // A hash, so that no key of a map is a private key.
    const key = hash('sha256', JSON.stringify([parts.side, options]))
    const known = this.#shared.get(key)
    if (known !== undefined) return known
    const made = { context: createSecureContext(options), peers: new PeerMemory() }
    this.#shared.set(key, made)
    const [oldest] = this.#shared.keys()
    if (this.#shared.size > contextsMax && oldest !== undefined) this.#shared.delete(oldest)
    return made
  }
}

function contextOptions(parts: ContextParts): SecureContextOptions {
  const { plan, pairs, validation, side } = parts
  const ciphers = plan.ciphers ?? defaultCiphers.join(':')
  return {
    minVersion: plan.minVersion,
    maxVersion: plan.maxVersion,
    ciphers: `${tls13Ciphers.join(':')}:${ciphers}`,
    ...(pairs.length > 0 && {
      cert: pairs.map((pair) => pair.chainPem),
      key: pairs.map((pair) => ({ pem: pair.keyPem, ...passphraseOf(pair) })),
    }),
    // An empty list keeps OpenSSL from trusting what Node carries along.
    ca: validation === undefined || validation.caPem === '' ? [] : [validation.caPem],
    ...(validation !== undefined &&
      validation.crlPems.length > 0 && { crl: [...validation.crlPems] }),
    allowPartialTrustChain: true,
    ...(plan.curves !== undefined && { ecdhCurve: plan.curves }),
    ...(plan.signatures !== undefined && { sigalgs: plan.signatures }),
    ...(side === 'server' && { sessionIdContext, honorCipherOrder: true }),
    ...(plan.sessionTimeoutSeconds !== undefined && {
      sessionTimeout: plan.sessionTimeoutSeconds,
    }),
    ...(!plan.resumes && { secureOptions: constants.SSL_OP_NO_TICKET }),
  }
}

function passphraseOf(pair: KeyPair): { passphrase?: string } {
  return pair.passphrase === undefined ? {} : { passphrase: pair.passphrase }
}
